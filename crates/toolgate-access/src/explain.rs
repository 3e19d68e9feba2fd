//! Why somebody may or may not use a server or a tool: the rules themselves, with a recorder.

use std::fmt;

use serde::Serialize;

use crate::decide::record::{Closed, Record, Who, Why};
pub use crate::decide::record::{Effect, Level, Rule};
use crate::decide::{Case, decide};
use crate::grant::Place;
use crate::id::ServerId;
use crate::principal::Principal;
use crate::rules::Rules;
use crate::tools::Tools;
use crate::world::{ServerSet, World};

/// The way to a decision, for an admin. Not for the caller, to whom what is not permitted does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What [`crate::grant::compile`] decides.
    pub allowed: bool,
    /// The server that was asked about, if there is one of that id, name or alias.
    pub server: Option<ServerId>,
    /// Other servers that go by the same name. They are decided each for itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_servers: Vec<ServerId>,
    /// The tool that was asked about, by its bare name.
    pub tool: Option<String>,
    /// What each rule did, in order. Levels that do not exist have no step.
    pub steps: Vec<Step>,
    /// Which step keeps it out: the first denial after it was last granted. `None` if it is allowed.
    pub first_denial: Option<usize>,
    /// What would have to be done, all of it. Empty if it is allowed, or if nothing helps.
    pub would_grant: Vec<String>,
}

/// What one rule did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Whose word it is.
    pub level: Level,
    /// The rule.
    pub rule: Rule,
    /// What it did.
    pub effect: Effect,
    /// The same in words.
    pub text: String,
    /// What would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Explains whether a principal may use a server, or one tool of it by its bare name.
///
/// `server` is an id, a name or an alias.
pub fn explain(
    world: &World,
    principal: &Principal,
    rules: &Rules,
    place: &Place,
    server: &str,
    tool: Option<&str>,
) -> Explanation {
    let Some((position, others)) = world.positions(server).split_first() else { return unknown(server, tool) };
    let case = Case { world, principal, rules, place };
    let mut book = Book { position: *position, tool, steps: Vec::new() };
    let decided = decide(case, &mut book);
    let mut allowed = decided.servers.contains(*position);
    if allowed && let Some(tool) = tool {
        allowed = decided.tools(case, *position, &mut book).allow(tool);
        book.name_no_tools(case, allowed, tool);
    }
    let id = |position: &usize| world.servers()[*position].id.clone();
    book.finish(allowed, id(position), others.iter().map(id).collect())
}

impl fmt::Display for Explanation {
    /// The steps line by line, the first denial marked, and what would grant it: for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.allowed { "allowed" } else { "denied" })?;
        for (index, step) in self.steps.iter().enumerate() {
            let mark = if self.first_denial == Some(index) { ">" } else { " " };
            let effect = match step.effect {
                Effect::Grants => "grants",
                Effect::Keeps => "keeps",
                Effect::Denies => "denies",
                Effect::SaysNothing => "-",
            };
            writeln!(f, "{mark} {:>2}. {effect:<6}  {}", index + 1, step.text)?;
        }
        for (index, remedy) in self.would_grant.iter().enumerate() {
            let lead = if index == 0 { "to grant it:" } else { "        and:" };
            writeln!(f, "{lead} {remedy}")?;
        }
        for other in &self.other_servers {
            writeln!(f, "server `{other}` goes by the same name; ask for it by its id")?;
        }
        Ok(())
    }
}

fn unknown(server: &str, tool: Option<&str>) -> Explanation {
    let step = Step {
        level: Level::Gateway,
        rule: Rule::UnknownServer,
        effect: Effect::Denies,
        text: format!("no server has the id, name or alias `{server}`"),
        remedy: Some(format!("look for a typing error, or add a server `{server}`")),
    };
    Explanation {
        allowed: false,
        server: None,
        other_servers: Vec::new(),
        tool: tool.map(str::to_owned),
        first_denial: Some(0),
        would_grant: step.remedy.iter().cloned().collect(),
        steps: vec![step],
    }
}

/// Writes down what happens to one server, and to one of its tools.
struct Book<'a> {
    position: usize,
    tool: Option<&'a str>,
    steps: Vec<Step>,
}

impl Book<'_> {
    fn write(&mut self, rule: Rule, who: Who<'_>, before: bool, after: bool, why: Why) {
        let Why { text, remedy, denies } = why;
        let effect = match (before, after) {
            (false, true) => Effect::Grants,
            (true, true) => Effect::Keeps,
            (true, false) => Effect::Denies,
            (false, false) if denies => Effect::Denies,
            (false, false) => Effect::SaysNothing,
        };
        let told = rule == Rule::DefaultDeny && self.last_denial_stands();
        if !text.is_empty() && !told {
            let remedy = remedy.filter(|_| effect == Effect::Denies);
            self.steps.push(Step { level: who.level, rule, effect, text, remedy });
        }
    }

    /// Whether something denied it after it was last granted, so that "nobody granted it" would say too little.
    fn last_denial_stands(&self) -> bool {
        first_denial(&self.steps).is_some()
    }

    fn name_no_tools(&mut self, case: Case<'_>, allowed: bool, tool: &str) {
        let named = self.steps.iter().any(|step| step.rule == Rule::Tools);
        if allowed && !named {
            let label = case.world.servers()[self.position].label();
            let text = format!("no level narrows the tools of `{label}`, so `{tool}` comes with the server");
            self.write(Rule::Tools, Who::gateway(), true, true, Why::says(text));
        }
    }

    fn finish(self, allowed: bool, server: ServerId, other_servers: Vec<ServerId>) -> Explanation {
        let first_denial = if allowed { None } else { first_denial(&self.steps) };
        let would_grant = first_denial.map_or_else(Vec::new, |first| remedies(&self.steps[first..]));
        Explanation {
            allowed,
            server: Some(server),
            other_servers,
            tool: self.tool.map(str::to_owned),
            steps: self.steps,
            first_denial,
            would_grant,
        }
    }
}

/// What has to be done against each of these denials. A session has several ways to a server, of which one will do.
fn remedies(steps: &[Step]) -> Vec<String> {
    let joined = steps.iter().position(|step| step.rule == Rule::SessionUnion).map_or(0, |union| union + 1);
    let (ways, after) = steps.split_at(joined);
    let texts = |steps: &[Step]| {
        let mut texts: Vec<String> = Vec::new();
        for remedy in steps.iter().filter_map(|step| step.remedy.as_ref()) {
            if !texts.contains(remedy) {
                texts.push(remedy.clone());
            }
        }
        texts
    };
    let ways = texts(ways).join("; or ");
    Some(ways).filter(|ways| !ways.is_empty()).into_iter().chain(texts(after)).collect()
}

fn first_denial(steps: &[Step]) -> Option<usize> {
    let after = steps.iter().rposition(|step| step.effect == Effect::Grants).map_or(0, |granted| granted + 1);
    steps[after..].iter().position(|step| step.effect == Effect::Denies).map(|denied| after + denied)
}

impl Record for Book<'_> {
    fn servers(
        &mut self,
        rule: Rule,
        who: Who<'_>,
        before: &ServerSet,
        after: &ServerSet,
        why: impl FnOnce(usize) -> Why,
    ) {
        let (before, after) = (before.contains(self.position), after.contains(self.position));
        self.write(rule, who, before, after, why(self.position));
    }

    fn closed(&mut self, closed: &Closed<'_>) {
        self.write(closed.rule, closed.who, false, false, closed.why());
    }

    fn tools(
        &mut self,
        rule: Rule,
        who: Who<'_>,
        before: &Tools<'_>,
        after: &Tools<'_>,
        why: impl FnOnce(&str) -> Why,
    ) {
        let Some(tool) = self.tool else { return };
        self.write(rule, who, before.allow(tool), after.allow(tool), why(tool));
    }
}

/// How many servers are left after each rule: why a list is short or empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// How many servers are reached.
    pub servers: usize,
    /// What each rule did, in order, those that changed nothing left out.
    pub steps: Vec<ReachStep>,
}

/// What one rule did to how much is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReachStep {
    /// Whose word it is.
    pub level: Level,
    /// The rule.
    pub rule: Rule,
    /// How many servers were reached before.
    pub before: usize,
    /// How many after.
    pub after: usize,
    /// The same in words.
    pub text: String,
}

/// Explains how much a principal reaches, for the log and an admin who sees an empty list.
pub fn reach(world: &World, principal: &Principal, rules: &Rules, place: &Place) -> Reach {
    let mut tally = Tally(Vec::new());
    let servers = decide(Case { world, principal, rules, place }, &mut tally).servers.len();
    if tally.0.is_empty() {
        let text = "no level grants any server".to_owned();
        tally.0.push(ReachStep { level: Level::Gateway, rule: Rule::DefaultDeny, before: 0, after: 0, text });
    }
    Reach { servers, steps: tally.0 }
}

/// Counts servers.
struct Tally(Vec<ReachStep>);

impl Record for Tally {
    fn servers(
        &mut self,
        rule: Rule,
        who: Who<'_>,
        before: &ServerSet,
        after: &ServerSet,
        _: impl FnOnce(usize) -> Why,
    ) {
        let (before, after) = (before.len(), after.len());
        if before == after {
            return;
        }
        let text = match before < after {
            true => format!("{who} adds {} servers", after - before),
            false => format!("{who} leaves {after} of {before} servers"),
        };
        self.0.push(ReachStep { level: who.level, rule, before, after, text });
    }

    fn closed(&mut self, closed: &Closed<'_>) {
        let (level, rule, text) = (closed.who.level, closed.rule, closed.why().text);
        self.0.push(ReachStep { level, rule, before: 0, after: 0, text });
    }

    fn tools(&mut self, _: Rule, _: Who<'_>, _: &Tools<'_>, _: &Tools<'_>, _: impl FnOnce(&str) -> Why) {}
}
