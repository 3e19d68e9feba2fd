//! What all HTTP routes share: the table of routes, the way in, reading bodies.

pub mod body;
pub mod routes;
pub mod serve;
