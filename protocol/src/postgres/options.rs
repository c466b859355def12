//! The `options` startup parameter: command-line switches for the session, as libpq's `PGOPTIONS` sends them.
//! Source: PostgreSQL documentation, "Start-up message", and the rules of `pg_split_opts`.

use super::wire::WireError;

/// Settings in the order in which they were given.
pub type Settings = Vec<(String, String)>;

/// Splits `options` at white space; a backslash takes the next byte literally.
#[must_use]
pub fn split(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = options.chars();
    while let Some(character) = chars.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(chars.next()),
            _ if character.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// Reads `-c name=value`, `-cname=value` and `--name=value`. In names `-` stands for `_`.
///
/// # Errors
/// [`WireError::Invalid`] for any other switch.
pub fn parse(options: &str) -> Result<Settings, WireError> {
    let mut settings = Settings::new();
    let mut words = split(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().ok_or(WireError::Invalid("command-line argument of options: -c needs a value"))?
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(WireError::Invalid("command-line argument in options"));
        };
        let (name, value) = assignment
            .split_once('=')
            .ok_or(WireError::Invalid("command-line argument in options: a setting needs name=value"))?;
        if name.is_empty() {
            return Err(WireError::Invalid("command-line argument in options: a setting needs a name"));
        }
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(expected: &[(&str, &str)]) -> Result<Settings, WireError> {
        Ok(expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_spelling_of_a_setting() {
        assert_eq!(parse(""), pairs(&[]));
        assert_eq!(
            parse(" -c search_path=a,b  -cgeqo=off --work-mem=4MB "),
            pairs(&[("search_path", "a,b"), ("geqo", "off"), ("work_mem", "4MB")])
        );
        assert_eq!(parse(r"-c search_path=a,\ b -c x=\\"), pairs(&[("search_path", "a, b"), ("x", "\\")]));
        assert_eq!(parse("-c a="), pairs(&[("a", "")]));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["-c", "-c a", "--a", "-B 5", "x", "-c =1", "\\"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
