//! What all HTTP routes share: the table of routes and the document that is made of it, the way in; and the port for
//! metrics, which has no routes.

pub mod describe;
pub mod docs;
pub mod openapi;
pub mod routes;
pub mod scrape;
pub mod serve;
