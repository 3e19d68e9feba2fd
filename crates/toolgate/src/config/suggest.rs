//! "Did you mean": the known word nearest to an unknown one.

/// The candidate nearest to `word`, if one is near enough to be a likely slip.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = 1 + canonical(word).len() / 5;
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must change to make the one word the other.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    strsim::damerau_levenshtein(&canonical(one), &canonical(other))
}

/// `authType`, `auth-type` and `AUTH_TYPE` are all the same slip for `auth_type`.
fn canonical(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["auth_type", "auth_value", "url", "transport", "allowed_tools"];
        let check = |word: &str, expected: Option<&str>| assert_eq!(nearest(word, known), expected, "{word}");
        check("authType", Some("auth_type"));
        check("auth-value", Some("auth_value"));
        check("trasport", Some("transport"));
        check("allow_tools", Some("allowed_tools"));
        check("urls", Some("url"));
        check("model_name", None);
        check("colour", None);
    }
}
