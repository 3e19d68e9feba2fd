//! Load generator, fast upstream and report.

fn main() {}
