//! The driver matrix: programs in the languages of the drivers run the same cases against a server and through dbmesh, and
//! what they say is compared line by line. `DBMESH_DRIVERS` names the families or programs to run (`all` for every one);
//! without it, those that need nothing beyond what `make test` installs. What each said stays in the build's tmp/drivers.

mod compare;
mod place;
mod program;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use compare::{Explained, Spoken, Verdict, compare};
use place::{Place, Way};
use program::{Family, Program};

use crate::bed::ServerKind;

/// Families of the quick form.
const QUICK: &str = "python,javascript";

/// What the runs found, collected from both lanes.
#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    /// Programs, cases, and what became of them.
    report: Vec<String>,
    explained: BTreeSet<(String, String, String)>,
}

/// The programs to run, and whether these are all there are.
fn chosen() -> (Vec<Program>, bool) {
    let wanted = std::env::var("DBMESH_DRIVERS").unwrap_or_else(|_| QUICK.to_owned());
    let all = wanted == "all";
    let has = |name: &str| all || wanted.split(',').any(|one| one == name);
    let mut programs = Vec::new();
    for family in Family::ALL {
        if has(family.name()) {
            programs.extend(family.programs());
        } else if family.names().any(has) {
            programs.extend(family.programs().into_iter().filter(|program| has(program.name)));
        }
    }
    assert!(!programs.is_empty(), "DBMESH_DRIVERS={wanted} names no family and no program");
    (programs, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_say_the_same_through_dbmesh() {
    let (programs, all) = chosen();
    let place = Place::make(programs.iter().any(|program| program.is_suite)).await;
    let explained = Explained::read(include_str!("differences.txt"));
    let findings = Mutex::new(Findings::default());
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
                let (programs, place, explained, findings) = (&programs, &place, &explained, &findings);
                scope.spawn(move || {
                    for program in programs.iter().filter(|program| program.kind == kind) {
                        run(program, place, explained, findings);
                    }
                });
            }
        });
    });
    let mut findings = findings.into_inner().expect("no thread panicked");
    for line in &findings.report {
        println!("{line}");
    }
    let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
    for key in explained.keys(&names, all) {
        if !findings.explained.contains(&key) && !explained.comes_and_goes(&key) {
            findings.wrong.push(format!("{key:?} is the same now: its explanation can go"));
        }
    }
    assert!(findings.wrong.is_empty(), "{} differences\n{}", findings.wrong.len(), findings.wrong.join("\n"));
}

/// Runs one program every way, at the same time, and compares.
fn run(program: &Program, place: &Place, explained: &Explained, findings: &Mutex<Findings>) {
    let begun = std::time::Instant::now();
    let spoken: Vec<(Way, Result<Spoken, String>)> = std::thread::scope(|scope| {
        let run = |way| scope.spawn(move || (way, speak(program, place, way)));
        let ways = [Way::Direct].into_iter().chain(program.ways.iter().copied());
        let running: Vec<_> = ways.map(run).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut findings = findings.lock().expect("no thread panicked");
    let name = program.name;
    let mut whole = Vec::new();
    for (way, spoken) in spoken {
        match spoken {
            Ok(spoken) => whole.push((way, spoken)),
            Err(said) => findings.wrong.push(format!("{name}, {}: {said}", way.name())),
        }
    }
    let Some((Way::Direct, direct)) = whole.first() else { return };
    for (case, lines) in &direct.cases {
        if let Some(line) = lines.iter().find(|line| line.starts_with("fails: ")) {
            findings.wrong.push(format!("{name}, {case}: fails without dbmesh: {line}"));
        }
    }
    for (way, through) in &whole[1..] {
        let [mut same, mut refused, mut known] = [0; 3];
        // Which parts a test of a suite has may hang on its outcome.
        let filled = program.is_suite.then(|| through.filled_from(direct));
        let through = filled.as_ref().unwrap_or(through);
        let names = |spoken: &Spoken| spoken.cases.iter().map(|(case, _)| case.clone()).collect::<Vec<_>>();
        if names(direct) != names(through) {
            findings.wrong.push(format!("{name}, {}: other cases than directly", way.name()));
            continue;
        }
        for ((case, expected), (_, found)) in direct.cases.iter().zip(&through.cases) {
            // What fails without dbmesh is no measure.
            if program.is_suite && expected.first().is_none_or(|outcome| outcome != "passed") {
                same += 1;
                continue;
            }
            match compare(expected, found, *way) {
                Verdict::Same => same += 1,
                Verdict::Refused(line) => {
                    refused += 1;
                    findings.report.push(format!("  {name}, {case}: refused over shards: {line:.300}"));
                }
                Verdict::Different(difference) => match explained.find(name, *way, case) {
                    Some(key) => {
                        known += 1;
                        findings.explained.insert(key);
                    }
                    None => findings.wrong.push(format!("{name}, {}, {case}: {difference}", way.name())),
                },
            }
        }
        let count = direct.cases.len();
        findings.report.push(format!(
            "{name}, {}: {count} cases, {same} the same, {refused} refused in part, {known} explained, {:.0} s",
            way.name(),
            begun.elapsed().as_secs_f64()
        ));
    }
}

fn speak(program: &Program, place: &Place, way: Way) -> Result<Spoken, String> {
    let said = program.tool(place.environment(program.kind, way)).folder(&place.folder(way)).run_in_time()?;
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drivers");
    std::fs::create_dir_all(&kept).expect("a folder can be made");
    let file = kept.join(format!("{}-{}.txt", program.name.replace(' ', "-"), way.name()));
    std::fs::write(file, format!("{}{}", said.out, said.errors)).expect("a file can be written");
    if !said.success {
        return Err(format!("ended with an error\n{}\n{}", said.out, said.errors));
    }
    Spoken::read(&said.out, way).map_err(|error| format!("{error}\n{}", said.errors))
}
