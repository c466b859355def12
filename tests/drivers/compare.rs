//! Compares what a program said on two ways, case by case. Out: running anything.

use std::collections::BTreeMap;

use super::place::{SHARDED, WHOLE, Way};

/// What a program said: the lines of each case, in order.
#[derive(Debug)]
pub struct Spoken {
    /// Name and lines of each case.
    pub cases: Vec<(String, Vec<String>)>,
}

impl Spoken {
    /// Reads a program's standard output; an error when it did not come to its end.
    pub fn read(out: &str, way: Way) -> Result<Self, String> {
        let mut cases: Vec<(String, Vec<String>)> = Vec::new();
        let mut ended = false;
        for line in out.lines() {
            let line = if way == Way::Sharded { line.replace(SHARDED, WHOLE) } else { line.to_owned() };
            if let Some(name) = line.strip_prefix("## ") {
                cases.push((name.to_owned(), Vec::new()));
            } else if line == "# end" {
                ended = true;
            } else if let Some((_, lines)) = cases.last_mut() {
                lines.push(line);
            }
        }
        if ended && !cases.is_empty() { Ok(Self { cases }) } else { Err(format!("did not come to its end:\n{out}")) }
    }

    /// The cases of `direct`, with what was said of each here.
    pub fn filled_from(&self, direct: &Self) -> Self {
        let lines = |name: &str| {
            let found = self.cases.iter().find(|(case, _)| case == name);
            found.map_or_else(|| vec!["did not run".to_owned()], |(_, lines)| lines.clone())
        };
        Self { cases: direct.cases.iter().map(|(name, _)| (name.clone(), lines(name))).collect() }
    }
}

/// How a case through dbmesh compares with the same case on the server.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Line by line the same.
    Same,
    /// The same up to a line in which dbmesh says that it does not support a statement.
    Refused(String),
    /// Something else.
    Different(String),
}

/// Compares the lines of one case.
pub fn compare(direct: &[String], through: &[String], way: Way) -> Verdict {
    let same = direct.iter().zip(through).take_while(|(a, b)| a == b).count();
    if same == direct.len() && same == through.len() {
        return Verdict::Same;
    }
    let (expected, found) = (direct.get(same), through.get(same));
    if way == Way::Sharded
        && let Some(found) = found
        && is_refusal(found)
    {
        return Verdict::Refused(found.clone());
    }
    let shown =
        |line: Option<&String>| line.map_or("(no more lines)".to_owned(), |line| line.chars().take(600).collect());
    Verdict::Different(format!("line {}\n    direct:  {}\n    through: {}", same + 1, shown(expected), shown(found)))
}

/// Whether a line shows dbmesh's own "not supported".
fn is_refusal(line: &str) -> bool {
    line.contains("dbmesh does not support")
}

/// Differences that the README explains: program, way and case, to the reason. `*` stands for every program or way.
pub struct Explained(BTreeMap<(String, String, String), String>);

impl Explained {
    /// Reads the list.
    pub fn read(text: &str) -> Self {
        let mut found = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut parts = line.splitn(4, '|').map(|part| part.trim().to_owned());
            let mut part = || parts.next().unwrap_or_else(|| panic!("program | way | case | reason: {line}"));
            found.insert((part(), part(), part()), part());
        }
        Self(found)
    }

    /// The key of the entry for this case.
    pub fn find(&self, program: &str, way: Way, case: &str) -> Option<(String, String, String)> {
        [(program, way.name()), (program, "*"), ("*", way.name()), ("*", "*")]
            .into_iter()
            .map(|(program, way)| (program.to_owned(), way.to_owned(), case.to_owned()))
            .find(|key| self.0.contains_key(key))
    }

    /// Whether the reason says that the case is the same at times.
    pub fn comes_and_goes(&self, key: &(String, String, String)) -> bool {
        self.0.get(key).is_some_and(|reason| reason.starts_with("at times: "))
    }

    /// The entries of these programs (and those of every program, when `all`).
    pub fn keys(&self, programs: &[&str], all: bool) -> Vec<(String, String, String)> {
        let wanted = |program: &str| programs.contains(&program) || (all && program == "*");
        self.0.keys().filter(|(program, _, _)| wanted(program)).cloned().collect()
    }
}

#[test]
fn verdicts_of_the_matrix() {
    let lines = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    assert_eq!(compare(&lines("a b"), &lines("a b"), Way::Unsharded), Verdict::Same);
    assert!(matches!(compare(&lines("a b"), &lines("a c"), Way::Unsharded), Verdict::Different(_)));
    assert!(matches!(compare(&lines("a b"), &lines("a"), Way::Sharded), Verdict::Different(_)));
    let refused = vec!["a".to_owned(), "1235 dbmesh does not support HAVING".to_owned()];
    assert!(matches!(compare(&lines("a b"), &refused, Way::Sharded), Verdict::Refused(_)));
    assert!(matches!(compare(&lines("a b"), &refused, Way::Unsharded), Verdict::Different(_)));
    let spoken = Spoken::read("# x\n## one\ndrivers_two\n## two\n# end\n", Way::Sharded).expect("whole");
    assert_eq!(spoken.cases, [("one".to_owned(), vec!["drivers_one".to_owned()]), ("two".to_owned(), vec![])]);
    assert!(Spoken::read("# x\n## one\n", Way::Direct).is_err());
    let explained = Explained::read("# why\n\npg8000 | * | case | reason\npg | * | case | at times: reason\n");
    let comes_and_goes = |name| explained.find(name, Way::Sharded, "case").map(|key| explained.comes_and_goes(&key));
    assert_eq!((comes_and_goes("pg8000"), comes_and_goes("pg")), (Some(false), Some(true)));
    assert!(explained.find("pg8000", Way::Sharded, "case").is_some());
    assert!(explained.find("psycopg", Way::Sharded, "case").is_none());
}
