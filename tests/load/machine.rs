//! What the figures were measured on: the machine and the versions of all programs. Out: figures.

use std::path::Path;
use std::process::Command;

use crate::proxies::program;

/// Prints it.
pub fn report(dbmesh: &Path) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let kilobytes: u64 = value(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    println!("\n## Machine\n");
    println!(
        "{}, {cores} cores of {}, {} GB; Linux {}. Clients, proxies and servers share it; a proxy has as many threads as \
         there are cores unless its name says otherwise (PgBouncer has one).",
        said(Command::new("date").args(["-u", "+%F %H:%M UTC"])),
        value(&read("/proc/cpuinfo"), "model name"),
        kilobytes / 1_000_000,
        read("/proc/sys/kernel/osrelease").trim(),
    );
    println!();
    let build = if cfg!(debug_assertions) { " (the bench itself is a debug build)" } else { "" };
    println!("- {}{build}", said(Command::new(dbmesh).arg("--version")));
    println!("- {}", said(Command::new(program("haproxy")).arg("-v")));
    println!("- {}", said(Command::new(program("pgbouncer")).arg("--version")));
    println!("- {}", said(Command::new(program("mariadbd")).arg("--version")));
    println!("- {}", said(Command::new("pgbench").arg("--version")));
    println!("- {}", said(Command::new("sysbench").arg("--version")));
}

/// The first line that a program prints.
fn said(command: &mut Command) -> String {
    let out = command.output().map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    out.lines().next().unwrap_or("unknown").trim().to_owned()
}
