//! A Model Context Protocol client.
