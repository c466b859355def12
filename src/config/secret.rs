//! Passwords and verifiers as values that cannot be printed by accident.
//! Out: any way to show a secret; the only way to the bytes is [`Secret::expose`], which is easy to find in review.

use std::fmt;

/// A password or verifier. `Debug` and `Display` never show it, and it is compared only where a reload looks for a change.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for an authentication exchange and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_form_of_printing_shows_the_secret() {
        let secret = Secret::new("tiger");
        assert!(!format!("{secret} {secret:?} {secret:#?}").contains("tiger"));
        assert_eq!(secret.expose(), "tiger");
    }
}
