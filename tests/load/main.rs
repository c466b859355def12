//! `make bench`: real servers and real load generators; every round runs each way in turn, and figures are compared within
//! their round. Ways: straight to the server, through HAProxy (`mode tcp`, with as many threads as dbmesh and with one),
//! through PgBouncer (transaction pooling), through dbmesh unsharded, and with a table sharded over two servers by key.
//! dbmesh runs with its default configuration. The tables of `RESULTS.md` are what this prints.
//! Out: assertions on time (a bench reports, it does not judge).
//!
//!     cargo bench --bench side_by_side -- --help

#![allow(clippy::expect_used, missing_docs)]

mod arguments;
mod calls;
mod client;
mod configurations;
mod idle;
mod large;
mod load;
mod machine;
mod places;
mod process;
mod proxies;
mod report;
mod scatter;
mod steady;
mod storms;

use std::time::Instant;

use arguments::Arguments;
use large::Large;
use places::Places;
use proxies::Proxies;
use scatter::Scatter;
use steady::Steady;
use storms::Storms;

fn main() {
    let arguments = Arguments::read();
    let begun = Instant::now();
    // Before anything is started: children inherit it.
    let files = process::open_files(idle::files_wanted(&arguments).max(8_192));
    let places = Places::make(&arguments);
    let proxies = Proxies::start(&places, &arguments);
    let runs = Steady::runs(&proxies, &arguments) * arguments.rounds;
    eprintln!("{runs} runs of {} s, then the rest", arguments.seconds);

    let (mut steady, mut storms) = (Steady::default(), Storms::default());
    let (mut large, mut scatter) = (Large::default(), Scatter::default());
    for round in 0..arguments.rounds {
        steady.round(&places, &proxies, &arguments);
        if arguments.wants(&["storms"]) {
            storms.round(&places, &proxies, &arguments);
        }
        if arguments.wants(&["large"]) {
            large.round(&proxies, &arguments);
        }
        if arguments.wants(&["scatter"]) {
            scatter.round(&places, &proxies, &arguments);
        }
        eprintln!("round {} of {} done after {} s", round + 1, arguments.rounds, begun.elapsed().as_secs());
    }

    machine::report(&arguments.dbmesh);
    println!(
        "\nMedians of {} rounds, behind them the smallest and largest; runs of {} s. Ratios and differences are medians of the \
         rounds' own.",
        arguments.rounds, arguments.seconds
    );
    steady.report(&arguments);
    storms.report();
    large.report();
    scatter.report();
    if arguments.wants(&["calls"]) {
        calls::run(&places, &proxies, &arguments);
    }
    drop(proxies);
    if arguments.wants(&["idle"]) {
        idle::run(&places, &arguments, files);
    }
    println!("\nAll of this took {} minutes.", begun.elapsed().as_secs().div_ceil(60));
    places.close();
}
