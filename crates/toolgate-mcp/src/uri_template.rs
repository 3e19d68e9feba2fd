//! Whether a URI belongs to a URI template (RFC 6570, all four levels), to find the server that serves it.
//!
//! A template is cut into parts, and for each part in turn the set of places in the URI that it may end at is worked
//! out from those where it may begin: one pass over the URI per part, whatever the template. There is no backtracking.
//!
//! Deliberately wider than the RFC, since many clients fill in values by hand: a value may hold characters that an
//! expansion would have encoded, query parameters may come in any order, and the length of `{var:3}` is not checked.
//! As in the RFC, every variable may be undefined. Literals are compared byte for byte.

/// A longer template is refused: a literal is compared at every place in the URI where it may begin.
const MAX_TEMPLATE_BYTES: usize = 2048;

/// More parts than this are refused: each costs a pass over the URI.
const MAX_PARTS: usize = 128;

/// More variables than this in one expression are refused: all are compared wherever a name may begin.
const MAX_VARIABLES: usize = 64;

/// A longer URI belongs to no template, so that both sides of the product of URI and parts have a limit.
const MAX_URI_BYTES: usize = 256 * 1024;

/// A parsed URI template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// Any number of characters of the class.
    Value(Class),
    /// Nothing, or `first` and any number of characters of the class.
    Led {
        first: u8,
        class: Class,
    },
    /// Nothing, or `first` and pairs parted by `separator`; an empty list of names admits every name.
    Pairs {
        first: u8,
        separator: u8,
        names: Vec<Box<str>>,
    },
}

/// Which bytes a value may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Everything: `{+var}`, `{#var}`.
    Any,
    /// All but `?` and `#`: `{/var*}`.
    Path,
    /// All but `/`, `?` and `#`.
    Segment,
    /// All but `&` and `#`.
    QueryValue,
    /// All but `;`, `/`, `?` and `#`.
    ParameterValue,
}

impl Class {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Path => !matches!(byte, b'?' | b'#'),
            Self::Segment => !matches!(byte, b'/' | b'?' | b'#'),
            Self::QueryValue => !matches!(byte, b'&' | b'#'),
            Self::ParameterValue => !matches!(byte, b';' | b'/' | b'?' | b'#'),
        }
    }
}

impl Template {
    /// Parses a template; `None` when it is malformed, or larger than anyone needs.
    #[must_use]
    pub fn parse(template: &str) -> Option<Self> {
        if template.len() > MAX_TEMPLATE_BYTES {
            return None;
        }
        let mut parts = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            let open = rest.find(['{', '}']).unwrap_or(rest.len());
            let (literal, after) = rest.split_at(open);
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            if after.is_empty() {
                break;
            }
            let (expression, after) = after.strip_prefix('{')?.split_once('}')?;
            push_expression(&mut parts, expression)?;
            rest = after;
        }
        (parts.len() <= MAX_PARTS).then_some(Self { parts })
    }

    /// Whether `uri` may come of filling in this template.
    #[must_use]
    pub fn matches(&self, uri: &str) -> bool {
        uri.len() <= MAX_URI_BYTES && self.walk(uri).0
    }

    /// How many bytes are fixed: of two templates that match, the one with more says more about the URI.
    #[must_use]
    pub fn literal_bytes(&self) -> usize {
        let fixed = |part: &Part| if let Part::Literal(text) = part { text.len() } else { 0 };
        self.parts.iter().map(fixed).sum()
    }

    /// The answer, and the number of passes over the URI that it took.
    fn walk(&self, uri: &str) -> (bool, usize) {
        let uri = uri.as_bytes();
        let mut parts = self.parts.as_slice();
        // Most URIs part from most templates here, before anything is allocated.
        let mut begun = 0;
        if let Some((Part::Literal(text), others)) = parts.split_first() {
            if !uri.starts_with(text.as_bytes()) {
                return (false, 0);
            }
            begun = text.len();
            parts = others;
        }
        let mut places = Places::new(uri.len() - begun);
        places.set(0);
        for (passes, part) in parts.iter().enumerate() {
            places = part.ends(&uri[begun..], &places);
            if places.count == 0 {
                return (false, passes + 1);
            }
        }
        (places.has(uri.len() - begun), parts.len())
    }
}

/// Reads what stands between braces and adds its parts.
fn push_expression(parts: &mut Vec<Part>, expression: &str) -> Option<()> {
    let operator = expression.bytes().next()?;
    // RFC 6570 keeps `=`, `,`, `!`, `@` and `|` for later; they fail below, being no part of a name.
    let list = if b"+#./;?&".contains(&operator) { &expression[1..] } else { expression };
    let variables: Vec<Variable<'_>> = list.split(',').map(Variable::parse).collect::<Option<_>>()?;
    if variables.len() > MAX_VARIABLES {
        return None;
    }
    let exploded = variables.iter().any(|variable| variable.exploded);
    match operator {
        b'+' => parts.push(Part::Value(Class::Any)),
        b'#' => parts.push(Part::Led { first: b'#', class: Class::Any }),
        b'.' => parts.push(Part::Led { first: b'.', class: Class::Segment }),
        b'/' if exploded => parts.push(Part::Led { first: b'/', class: Class::Path }),
        b'/' => parts.extend(variables.iter().map(|_| Part::Led { first: b'/', class: Class::Segment })),
        b'?' | b'&' | b';' => {
            let separator = if operator == b'?' { b'&' } else { operator };
            // `{?rest*}` expands an associative array into names that the template does not know.
            let names = if exploded { Vec::new() } else { variables.iter().map(|one| one.name.into()).collect() };
            parts.push(Part::Pairs { first: operator, separator, names });
        }
        _ => parts.push(Part::Value(Class::Segment)),
    }
    Some(())
}

struct Variable<'a> {
    name: &'a str,
    exploded: bool,
}

impl<'a> Variable<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, exploded) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let name = match name.split_once(':') {
            Some(_) if exploded => return None,
            Some((name, length)) => {
                let digits = (1..=4).contains(&length.len()) && length.bytes().all(|byte| byte.is_ascii_digit());
                if !digits || length.starts_with('0') {
                    return None;
                }
                name
            }
            None => name,
        };
        // The RFC has no `-` in names, but servers use it and clients take it.
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'%');
        let misplaced_dot = name.starts_with('.') || name.ends_with('.') || name.contains("..");
        (!name.is_empty() && !misplaced_dot && name.bytes().all(sound)).then_some(Self { name, exploded })
    }
}

/// A set of places in a URI, each before one of its bytes or at its end.
struct Places {
    marked: Vec<bool>,
    count: usize,
}

impl Places {
    fn new(uri_len: usize) -> Self {
        Self { marked: vec![false; uri_len + 1], count: 0 }
    }

    fn set(&mut self, at: usize) {
        self.count += usize::from(!self.marked[at]);
        self.marked[at] = true;
    }

    fn has(&self, at: usize) -> bool {
        self.marked[at]
    }
}

impl Part {
    /// Where this part may end, when it may begin at `starts`: one pass over the URI.
    fn ends(&self, uri: &[u8], starts: &Places) -> Places {
        match self {
            Self::Literal(text) => literal_ends(text.as_bytes(), uri, starts),
            Self::Value(class) => value_ends(None, *class, uri, starts),
            Self::Led { first, class } => value_ends(Some(*first), *class, uri, starts),
            Self::Pairs { first, separator, names } => {
                Pairs { first: *first, separator: *separator, names }.ends(uri, starts)
            }
        }
    }
}

fn literal_ends(text: &[u8], uri: &[u8], starts: &Places) -> Places {
    let mut ends = Places::new(uri.len());
    for at in 0..uri.len() {
        if starts.has(at) && uri[at..].starts_with(text) {
            ends.set(at + text.len());
        }
    }
    ends
}

fn value_ends(first: Option<u8>, class: Class, uri: &[u8], starts: &Places) -> Places {
    let mut ends = Places::new(uri.len());
    let mut inside = false;
    for at in 0..=uri.len() {
        let begins = starts.has(at);
        if begins || inside {
            ends.set(at);
        }
        let Some(&byte) = uri.get(at) else { break };
        let led_in = begins && first.is_none_or(|first| first == byte);
        inside = match first {
            None => (inside || led_in) && class.has(byte),
            Some(_) => led_in || (inside && class.has(byte)),
        };
    }
    ends
}

struct Pairs<'a> {
    first: u8,
    separator: u8,
    names: &'a [Box<str>],
}

impl Pairs<'_> {
    fn ends(&self, uri: &[u8], starts: &Places) -> Places {
        let class = if self.separator == b';' { Class::ParameterValue } else { Class::QueryValue };
        let mut ends = Places::new(uri.len());
        // Where a name may begin, where a value may go on, and where a pair may be over.
        let (mut names, mut values, mut over) =
            (Places::new(uri.len()), Places::new(uri.len()), Places::new(uri.len()));
        for at in 0..=uri.len() {
            if names.has(at) {
                self.read_name(uri, at, &mut values, &mut over);
            }
            if values.has(at) {
                over.set(at);
            }
            if starts.has(at) || over.has(at) {
                ends.set(at);
            }
            let Some(&byte) = uri.get(at) else { break };
            if (starts.has(at) && byte == self.first) || (over.has(at) && byte == self.separator) {
                names.set(at + 1);
            }
            if values.has(at) && class.has(byte) {
                values.set(at + 1);
            }
        }
        ends
    }

    fn read_name(&self, uri: &[u8], at: usize, values: &mut Places, over: &mut Places) {
        if self.names.is_empty() {
            values.set(at);
        }
        for name in self.names {
            if !uri[at..].starts_with(name.as_bytes()) {
                continue;
            }
            let after = at + name.len();
            over.set(after);
            if uri.get(after) == Some(&b'=') {
                values.set(after + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
