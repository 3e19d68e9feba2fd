//! The table of cases: every rule, what it lets through beside what it does not.

mod closed;
mod doors;
mod levels;
mod readable;
mod sessions;
mod tools;
mod worlds;
