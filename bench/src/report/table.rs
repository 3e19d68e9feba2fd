//! The report as Markdown.

use crate::report::Report;
use crate::report::cell::Target;
use crate::report::goals::{
    GOALS, all_served_ms, calls_per_s, closed_p50_us, closed_p99_us, cpu_us, described_ms, idle_added_mib, low_p50_us,
    low_p99_us, peak_mib, ready_ms, resident_mib, steady_cpu_us,
};
use crate::report::medians::{Medians, Read, difference, ratio};

/// The whole report, as text for a terminal or a page.
pub(crate) fn render(report: &Report) -> String {
    let mut out = header(report);
    let medians = Medians(&report.cells);
    let scenarios = scenarios(report);
    out += &numbers(medians, &scenarios);
    out += &ratios(medians, &scenarios);
    out += &goals(medians);
    out += &failures(report);
    out
}

fn header(report: &Report) -> String {
    let machine = &report.machine;
    let pins = match machine.pinned {
        Some((gateway, load)) => format!("gateway alone on core {gateway}, load and upstream on core {load}"),
        None => "not pinned: the machine has one core".to_owned(),
    };
    let bytes = machine.toolgate_bytes.map(|bytes| format!(", {:.1} MiB", bytes as f64 / f64::from(1 << 20)));
    let missing = "left out (not there)";
    format!(
        "## Benchmark\n\n- {}, {} cores, Linux {}; {pins}\n- load average before {}, after {}\n- nginx: {}\n- toolgate: {}{}\n\
         - {} round(s) of {} s per measurement; medians; every answer checked\n\n",
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.busy_before,
        machine.busy_after,
        machine.nginx.as_deref().unwrap_or(missing),
        machine.toolgate.as_deref().unwrap_or(missing),
        bytes.unwrap_or_default(),
        report.rounds,
        report.seconds,
    )
}

/// In the order in which they were measured.
fn scenarios(report: &Report) -> Vec<&'static str> {
    let mut names = Vec::new();
    for cell in &report.cells {
        if !names.contains(&cell.scenario) {
            names.push(cell.scenario);
        }
    }
    names
}

const COLUMNS: &[(&str, Read, usize)] = &[
    ("calls/s", calls_per_s, 0),
    ("p50 µs", closed_p50_us, 0),
    ("p99 µs", closed_p99_us, 0),
    ("low-rate p50 µs", low_p50_us, 0),
    ("low-rate p99 µs", low_p99_us, 0),
    ("CPU µs/call", cpu_us, 1),
    ("same-rate CPU µs/call", steady_cpu_us, 1),
    ("RSS MiB", resident_mib, 1),
    ("peak MiB", peak_mib, 1),
    ("+MiB per 10,000 sessions", idle_added_mib, 1),
    ("ready ms", ready_ms, 1),
    ("all served ms", all_served_ms, 0),
    ("tools after ms", described_ms, 0),
];

fn numbers(medians: Medians<'_>, scenarios: &[&str]) -> String {
    let mut rows = vec![[vec!["scenario", "target"], COLUMNS.iter().map(|(name, ..)| *name).collect()].concat()]
        .into_iter()
        .map(|row| row.into_iter().map(str::to_owned).collect())
        .collect::<Vec<Vec<String>>>();
    for scenario in scenarios {
        for target in Target::ALL {
            let values: Vec<_> = COLUMNS
                .iter()
                .map(|(_, read, digits)| shown(medians.of(scenario, target, *read), *digits, ""))
                .collect();
            if values.iter().any(|value| value != ABSENT) {
                rows.push([vec![(*scenario).to_owned(), target.name().to_owned()], values].concat());
            }
        }
    }
    markdown(&rows)
}

fn ratios(medians: Medians<'_>, scenarios: &[&str]) -> String {
    const NGINX: (Target, Target) = (Target::Toolgate, Target::Nginx);
    const DIRECT: (Target, Target) = (Target::Toolgate, Target::Direct);
    const NGINX_DIRECT: (Target, Target) = (Target::Nginx, Target::Direct);
    let mut rows = vec![
        [
            "scenario",
            "CPU, toolgate/nginx",
            "same-rate CPU, toolgate/nginx",
            "calls/s, toolgate/nginx",
            "added p50, toolgate",
            "added p50, nginx",
            "added p99, toolgate",
            "added p99, nginx",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for scenario in scenarios {
        let over = |targets, read, combine| medians.of_pairs(scenario, targets, read, combine);
        let values = [
            shown(over(NGINX, cpu_us, ratio), 2, "x"),
            shown(over(NGINX, steady_cpu_us, ratio), 2, "x"),
            shown(over(NGINX, calls_per_s, ratio), 2, "x"),
            shown(over(DIRECT, low_p50_us, difference), 0, " µs"),
            shown(over(NGINX_DIRECT, low_p50_us, difference), 0, " µs"),
            shown(over(DIRECT, low_p99_us, difference), 0, " µs"),
            shown(over(NGINX_DIRECT, low_p99_us, difference), 0, " µs"),
        ];
        if values.iter().any(|value| value != ABSENT) {
            rows.push([vec![(*scenario).to_owned()], values.to_vec()].concat());
        }
    }
    section("Ratios of the same run, and latency added to direct at the low rate", &rows)
}

fn goals(medians: Medians<'_>) -> String {
    let mut rows = vec![["goal", "at most", "toolgate", "held", "nginx, to compare"].map(str::to_owned).to_vec()];
    for goal in GOALS {
        if let Some(measured) = goal.measured(medians, Target::Toolgate) {
            let unit = format!(" {}", goal.unit);
            rows.push(vec![
                goal.name.to_owned(),
                format!("{}{unit}", goal.limit),
                shown(Some(measured), 2, &unit),
                if measured <= goal.limit { "yes" } else { "NO" }.to_owned(),
                shown(goal.measured(medians, Target::Nginx), 2, &unit),
            ]);
        }
    }
    section("Goals", &rows)
}

fn failures(report: &Report) -> String {
    let mut out = String::new();
    for cell in &report.cells {
        let Some(failure) = &cell.failure else { continue };
        let (name, target) = (cell.scenario, cell.target.name());
        out += &format!("- FAILED: {name}, {target}, round {}: {failure}\n", cell.round + 1);
    }
    out
}

const ABSENT: &str = "-";

fn shown(number: Option<f64>, digits: usize, unit: &str) -> String {
    number.map_or_else(|| ABSENT.to_owned(), |number| format!("{number:.digits$}{unit}"))
}

/// A table below a heading; nothing when the table has only its own heading.
fn section(heading: &str, rows: &[Vec<String>]) -> String {
    if rows.len() < 2 { String::new() } else { format!("### {heading}\n\n{}", markdown(rows)) }
}

/// A table with aligned columns, which reads as well on a terminal; the first row is the heading.
fn markdown(rows: &[Vec<String>]) -> String {
    let Some(heading) = rows.first() else { return String::new() };
    let widths: Vec<_> = (0..heading.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let lines = [heading, &rule].into_iter().chain(&rows[1..]);
    let mut out = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            out += &format!("| {cell:<width$} ");
        }
        out += "|\n";
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let rows = [vec!["a".to_owned(), "bcd".to_owned()], vec!["µµµ".to_owned(), "1".to_owned()]];
        assert_eq!(markdown(&rows), "| a   | bcd |\n| --- | --- |\n| µµµ | 1   |\n\n");
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        assert_eq!(shown(None, 1, " µs"), "-");
        assert_eq!(shown(Some(1.26), 1, " µs"), "1.3 µs");
    }
}
