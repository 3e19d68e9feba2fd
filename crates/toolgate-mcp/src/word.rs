//! Looking for one known word in a message, to learn cheaply that it is not there and need not be parsed for.

/// A word that messages are searched for.
///
/// `memchr::memmem` is quicker in long texts, but building its searcher takes as long as reading several KiB, and most
/// messages are shorter. Here the word's rarest byte is sought, and compared around.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    word: &'static [u8],
    /// Where the byte stands that is least likely in JSON and in prose.
    rarest: usize,
}

impl Word {
    /// `word`, made at compile time.
    ///
    /// # Panics
    /// When it is empty.
    #[must_use]
    pub const fn new(word: &'static str) -> Self {
        let word = word.as_bytes();
        let (mut at, mut rarest) = (1, 0);
        while at < word.len() {
            if commonness(word[at]) < commonness(word[rarest]) {
                rarest = at;
            }
            at += 1;
        }
        assert!(!word.is_empty(), "nothing to look for");
        Self { word, rarest }
    }

    /// Whether the word stands anywhere in `text`.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.places(text).next().is_some()
    }

    /// Where in `text` the word ends, each time that it stands there.
    pub fn ends<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = usize> + use<'t> {
        let length = self.word.len();
        self.places(text).map(move |begin| begin + length)
    }

    fn places<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = usize> + use<'t> {
        let Self { word, rarest } = *self;
        let begins = memchr::memchr_iter(word[rarest], text).filter_map(move |at| at.checked_sub(rarest));
        begins.filter(move |begin| text[*begin..].starts_with(word))
    }
}

/// A rough order: capitals and odd signs are rare, then digits, then small letters, then what JSON is full of.
const fn commonness(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' | b'_' | b'/' | b'\\' => 0,
        b'0'..=b'9' | b'.' | b'-' => 1,
        b'j' | b'k' | b'q' | b'v' | b'w' | b'x' | b'y' | b'z' => 2,
        b'"' | b' ' | b'e' | b't' | b'a' => 4,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::Word;

    #[test]
    fn a_word_is_found_where_memmem_finds_it() {
        let texts =
            ["", "E", "isError", "\"isError\"\"isError\"", "xisErro", "sError\"isError", "aaaa", "aa_aa", "é_a_"];
        for word in [Word::new("isError"), Word::new("\"isError\""), Word::new("a"), Word::new("aa"), Word::new("_a")] {
            for text in texts {
                let found: Vec<usize> = word.ends(text.as_bytes()).collect();
                let expected: Vec<usize> = (0..text.len())
                    .filter(|at| text.as_bytes()[*at..].starts_with(word.word))
                    .map(|at| at + word.word.len())
                    .collect();
                assert_eq!(found, expected, "{word:?} in {text}");
                assert_eq!(word.is_in(text.as_bytes()), memchr::memmem::find(text.as_bytes(), word.word).is_some());
            }
        }
    }
}
