//! The child's stderr on its way to ours: lines that are ours pass, anything else (an allocator's
//! or a C library's last words) becomes a log line.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use crate::wire::report;

/// Longest line that is passed on; the rest of a longer one is dropped.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// What a child's last words say about its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub out_of_memory: bool,
}

/// Relays until the child closes its stderr.
pub fn relay(stderr: impl Read) -> Heard {
    let mut reader = BufReader::new(stderr);
    let mut heard = Heard::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return heard,
            Ok(_) => {}
        }
        match serde_json::from_slice::<Value>(&line) {
            Ok(value) if value.get("t").is_some_and(Value::is_string) => report::line(&value),
            _ => {
                let text = String::from_utf8_lossy(&line);
                heard.out_of_memory |= text.contains("memory allocation of");
                if !text.trim().is_empty() {
                    report::log("error", text.trim());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocators_last_words_are_heard() {
        assert!(
            relay(&b"{\"t\":\"log\"}\nmemory allocation of 64 bytes failed\n"[..]).out_of_memory
        );
        assert!(
            !relay(&b"{\"t\":\"log\",\"msg\":\"memory allocation of\"}\nother\n"[..]).out_of_memory
        );
    }
}
