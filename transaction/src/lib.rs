//! Commit protocols as state machines: events in, actions out. Out: sockets; time is an argument.
