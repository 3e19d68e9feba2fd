//! Numbers, which are kept as text.

use super::Path;
use crate::node::{Map, Node};

pub(super) fn check(map: &Map, number: &str, path: &Path<'_>, problems: &mut Vec<String>) {
    let Some(value) = float(number) else { return };
    let bound = |key: &str| match map.get(key) {
        Some(Node::Number(text)) => float(text).map(|bound| (bound, text)),
        _ => None,
    };
    let mut tell = |what: &str, bound: &str| {
        problems.push(format!("{} must be {what} {bound}, but is {number}", path.subject()));
    };
    if let Some((least, text)) = bound("minimum").filter(|(least, _)| value < *least) {
        let _ = least;
        tell("at least", text);
    }
    if let Some((_, text)) = bound("maximum").filter(|(most, _)| value > *most) {
        tell("at most", text);
    }
    if let Some((_, text)) = bound("exclusiveMinimum").filter(|(least, _)| value <= *least) {
        tell("more than", text);
    }
    if let Some((_, text)) = bound("exclusiveMaximum").filter(|(most, _)| value >= *most) {
        tell("less than", text);
    }
    if let Some((step, text)) = bound("multipleOf").filter(|(step, _)| *step > 0.0) {
        let times = value / step;
        // Steps such as 0.01 have no exact binary form.
        if (times - times.round()).abs() > 1e-6 * times.abs().max(1.0) {
            tell("a multiple of", text);
        }
    }
}

/// A cap on lengths and counts.
pub(super) fn count(node: &Node) -> Option<usize> {
    match node {
        Node::Number(text) => text.parse().ok(),
        _ => None,
    }
}

pub(super) fn is_whole(number: &str) -> bool {
    if !number.contains(['.', 'e', 'E']) {
        return true;
    }
    float(number).is_some_and(|value| value.fract() == 0.0)
}

pub(super) fn equal(one: &str, other: &str) -> bool {
    one == other
        || match (one.contains(['.', 'e', 'E']), other.contains(['.', 'e', 'E'])) {
            // Whole numbers are compared as they are written, or large ones would be equal that are not.
            (false, false) => false,
            _ => float(one).is_some_and(|value| Some(value) == float(other)),
        }
}

fn float(number: &str) -> Option<f64> {
    number.parse::<f64>().ok()
}
