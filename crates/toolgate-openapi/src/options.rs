//! What is made of a description.

use std::collections::BTreeMap;

use url::Url;

/// What is made of a description.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where requests go. `None`: where the description says.
    pub url: Option<Url>,
    /// Where the description came from, if it was fetched: servers in it are relative to that.
    pub origin: Option<Url>,
    /// How long a tool's name may be.
    pub longest_name: usize,
    /// Which operations become tools.
    pub select: Select,
    /// What people say of operations. A key is an `operationId`, a tool's name, or `GET /path`.
    pub overlay: BTreeMap<String, Overlay>,
    /// Whether tools say what they answer.
    pub output_schemas: bool,
}

/// Which operations become tools. An empty list chooses all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    /// Operations with one of these tags.
    pub tags: Vec<String>,
    /// Operations with one of these methods, in any case.
    pub methods: Vec<String>,
    /// Paths that one of these globs fits: `*` is within a segment, `**` beyond it.
    pub paths: Vec<String>,
}

/// What people say of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// The tool's name.
    pub name: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// It is no tool.
    pub hide: bool,
    /// One more tag.
    pub group: Option<String>,
    /// Which of the body's media types is sent.
    pub content_type: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: None,
            origin: None,
            longest_name: 128,
            select: Select::default(),
            overlay: BTreeMap::new(),
            output_schemas: true,
        }
    }
}

impl Select {
    /// Why an operation is not chosen.
    pub(crate) fn refuses(&self, method: &str, path: &str, tags: &[String]) -> Option<String> {
        if !self.methods.is_empty() && !self.methods.iter().any(|one| one.eq_ignore_ascii_case(method)) {
            return Some(format!("`{method}` is not in `allowed_methods`"));
        }
        if !self.tags.is_empty() && !tags.iter().any(|tag| self.tags.contains(tag)) {
            return Some("none of its tags is in `allowed_tags`".to_owned());
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|glob| fits(glob.as_bytes(), path.as_bytes())) {
            return Some("its path is not in `allowed_paths`".to_owned());
        }
        None
    }
}

/// Whether a glob fits a path. The work is bounded by the product of their lengths.
fn fits(glob: &[u8], path: &[u8]) -> bool {
    // Which lengths of the path the glob so far fits.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < glob.len() {
        let stars = glob[at..].iter().take_while(|byte| **byte == b'*').count();
        let mut next = vec![false; path.len() + 1];
        if stars > 0 {
            let mut open = false;
            for end in 0..=path.len() {
                let crosses = end > 0 && stars == 1 && path[end - 1] == b'/';
                open = (open && !crosses) || reached[end];
                next[end] = open;
            }
            at += stars;
        } else {
            for end in 0..path.len() {
                next[end + 1] = reached[end] && (glob[at] == path[end] || (glob[at] == b'?' && path[end] != b'/'));
            }
            at += 1;
        }
        reached = next;
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stays_in_its_segment_and_two_do_not() {
        let cases = [
            ("/pets", "/pets", true),
            ("/pets", "/pets/1", false),
            ("/pets/*", "/pets/{id}", true),
            ("/pets/*", "/pets/{id}/toys", false),
            ("/pets/**", "/pets/{id}/toys", true),
            ("/pets/*/toys", "/pets/{id}/toys", true),
            ("**/toys", "/pets/{id}/toys", true),
            ("/p?ts", "/pets", true),
            ("/pets?", "/pets/", false),
            ("*", "", true),
            ("**", "/a/b", true),
            ("", "/a", false),
        ];
        for (glob, path, expected) in cases {
            assert_eq!(fits(glob.as_bytes(), path.as_bytes()), expected, "{glob} {path}");
        }
        assert!(!fits("*a".repeat(200).as_bytes(), "b".repeat(2_000).as_bytes()));
    }
}
