//! How long a description takes to become tools, and how much memory: `measure FILE [ROUNDS]`.
//!
//! With `--operations N` the description is made up, with that many operations.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::fmt::Write as _;
use std::time::Instant;

use toolgate_openapi::{Documents, Limits, Options, read};
use url::Url;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = match arguments.as_slice() {
        [flag, count, ..] if flag == "--operations" => made_up(count.parse()?),
        [file, ..] => std::fs::read(file)?,
        [] => return Err("measure FILE, or measure --operations N".into()),
    };
    let began = Instant::now();
    let documents = Documents::new("api", &text, Limits::default())?;
    let parsed = began.elapsed();
    let (bytes, after_parse) = (text.len(), peak_kib());
    drop(text);
    let url = Some(Url::parse("https://api.test/")?);
    let api = read(&documents, &Options { url, ..Options::default() })?;
    let whole = began.elapsed();
    let tools: usize = api.operations.iter().map(|one| one.tool().len()).sum();
    let largest = api.operations.iter().map(|one| one.tool().len()).max().unwrap_or_default();
    println!(
        "{bytes} bytes: {} tools of {tools} bytes (largest {largest}), {} left out",
        api.operations.len(),
        api.left_out.len()
    );
    println!(
        "parsed in {parsed:?}, tools after {whole:?}; peak {} KiB when parsed, {} KiB in all",
        after_parse,
        peak_kib()
    );
    for one in api.left_out.iter().take(10) {
        println!("left out {} {}: {}", one.method, one.path, one.reason);
    }
    measure_calls(&api)?;
    Ok(())
}

/// What a call costs: arguments to request.
fn measure_calls(api: &toolgate_openapi::Api) -> Result<(), Box<dyn Error>> {
    const CALLS: u32 = 20_000;
    let base = Url::parse("https://api.test/")?;
    let operation = api.operations.iter().find(|one| one.path.matches('{').count() == 2 && one.method == "GET");
    let Some(operation) = operation else { return Ok(()) };
    let names = operation.path.split('{').skip(1).filter_map(|part| part.split('}').next());
    let members: Vec<String> = names.map(|name| format!("\"{name}\":\"1\"")).collect();
    let arguments = format!("{{{}}}", members.join(","));
    operation.request(&base, &arguments)?;
    let began = Instant::now();
    for _ in 0..CALLS {
        operation.request(&base, &arguments)?;
    }
    println!("{} {}: {:?} for a call", operation.method, operation.path, began.elapsed() / CALLS);
    Ok(())
}

/// The most memory that this process ever held, on Linux.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn made_up(operations: usize) -> Vec<u8> {
    let mut text = r#"{"openapi":"3.0.3","paths":{"#.to_owned();
    for number in 0..operations {
        let comma = if number == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r##"{comma}"/things{number}/{{id}}":{{"post":{{"operationId":"doThing{number}","summary":"Does thing {number}","parameters":[{{"name":"id","in":"path","required":true,"schema":{{"type":"integer"}}}}],"requestBody":{{"content":{{"application/json":{{"schema":{{"$ref":"#/components/schemas/Thing{number}"}}}}}}}},"responses":{{"200":{{"description":"ok","content":{{"application/json":{{"schema":{{"$ref":"#/components/schemas/Thing{number}"}}}}}}}}}}}}}}"##
        );
    }
    text.push_str(r#"},"components":{"schemas":{"#);
    for number in 0..operations {
        let comma = if number == 0 { "" } else { "," };
        // Schemas that lead to each other, ten at a time.
        let next = number / 10 * 10 + (number + 1) % 10;
        let next = next.min(operations - 1);
        let _ = write!(
            text,
            r##"{comma}"Thing{number}":{{"type":"object","required":["name"],"properties":{{"name":{{"type":"string"}},"size":{{"type":"number","nullable":true}},"next":{{"$ref":"#/components/schemas/Thing{next}"}}}}}}"##
        );
    }
    text.push_str("}}}");
    text.into_bytes()
}
