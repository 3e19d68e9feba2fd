//! Budgets and rates, as values: the state in, the decision and the next state out, the time as an argument.
//!
//! A clock that jumps never opens what was used up more than a new period would, and never locks for longer than one.

pub mod budget;
pub mod period;
pub mod rate;
