//! Names of JSON members as Go's decoder matches them.

/// Whether Go's decoder takes `name` for `wanted`: equal under Unicode case folding. Beyond ASCII
/// that adds the long s and the Kelvin sign.
pub fn is_name(name: &str, wanted: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(wanted.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_as_in_go() {
        for name in ["spec", "SPEC", "Spec", "\u{17f}pec"] {
            assert!(is_name(name, "spec"), "{name}");
        }
        assert!(is_name("\u{212a}ind", "kind"));
        assert!(is_name("APIVERſION", "apiVersion"));
        for name in ["spe", "specs", "\u{15b}pec", ""] {
            assert!(!is_name(name, "spec"), "{name}");
        }
    }
}
