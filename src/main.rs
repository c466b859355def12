//! The command line: reads arguments, builds what they name, runs it.

fn main() {}
