//! The wire format of `PROTOCOL.md`: what comes in on stdin, what goes out on stdout and stderr.

pub mod answer;
pub mod cid;
pub mod decimal;
pub mod params;
pub mod report;
pub mod request;
mod twice;
