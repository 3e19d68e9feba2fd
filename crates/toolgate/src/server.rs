//! What all HTTP routes share: the table of routes and the document that is made of it, the way in, reading bodies.

pub mod body;
pub mod describe;
pub mod docs;
pub mod openapi;
pub mod routes;
pub mod serve;
