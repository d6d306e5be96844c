//! Requests and responses, one JSON object a line.

use std::io::{self, BufRead, Write};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// Longest line that is read: C1's output of a 64 GiB sector has some 60 MB.
pub const MAX_LINE_BYTES: usize = 512 << 20;

/// The id of answers to lines whose own id cannot be read. damocles counts from 1, reads this one
/// as an answer nobody waits for, and logs it.
pub const NO_ID: u64 = 0;

/// A request whose task is still text: only the process that performs it reads it. That saves
/// the memory of a second copy, hundreds of megabytes for C2.
#[derive(Debug)]
pub struct Request {
    pub id: u64,
    /// The whole line.
    pub line: Vec<u8>,
}

/// A request, read.
#[derive(Deserialize)]
pub struct Whole<T> {
    pub id: u64,
    pub task: T,
}

/// The answer to a request: a sentence or an output, never both.
#[derive(Debug, Serialize, Deserialize)]
pub struct Response<O> {
    pub id: u64,
    pub err_msg: Option<String>,
    pub output: Option<O>,
}

impl Response<()> {
    /// The answer that a task failed.
    pub fn failed(id: u64, sentence: String) -> Self {
        Self { id, err_msg: Some(sentence), output: None }
    }
}

/// What the next line was.
pub enum Line {
    Request(Request),
    /// Not a request: the answer that says so.
    Malformed(Response<()>),
    End,
}

/// Reads the next line, however long or broken it is.
///
/// # Errors
/// Only when reading itself fails.
pub fn next(input: &mut impl BufRead) -> io::Result<Line> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        let (part, end) = match chunk.iter().position(|&b| b == b'\n') {
            Some(at) => (at + 1, true),
            None => (chunk.len(), false),
        };
        too_long |= line.len() + part > MAX_LINE_BYTES;
        if too_long {
            // The first bytes are kept: the id may be in them.
            line.truncate(1 << 10);
        } else {
            line.extend_from_slice(&chunk[..part]);
        }
        input.consume(part);
        if end {
            return Ok(read(line, too_long));
        }
    }
    // A last line without its end is a request that was cut off.
    Ok(if line.is_empty() { Line::End } else { read(line, too_long) })
}

fn read(line: Vec<u8>, too_long: bool) -> Line {
    if too_long {
        let sentence = format!("the request has more than {MAX_LINE_BYTES} bytes; send a smaller task");
        return Line::Malformed(Response::failed(id_of(&line), sentence));
    }
    // serde would take a list for an object.
    let object = line.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(&line) {
        Ok(Whole::<IgnoredAny> { id, .. }) if object => Line::Request(Request { id, line }),
        Ok(_) => {
            let sentence = "the line is a list; send {\"id\":<number>,\"task\":{…}} in one line".to_owned();
            Line::Malformed(Response::failed(NO_ID, sentence))
        }
        Err(error) => {
            let sentence = format!(
                "the line is no request ({error}); send {{\"id\":<number>,\"task\":{{…}}}} in one line"
            );
            Line::Malformed(Response::failed(id_of(&line), sentence))
        }
    }
}

/// The id of a line that is no request, where one can be found.
fn id_of(line: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Id {
        id: u64,
    }
    if let Ok(Id { id }) = serde_json::from_slice(line) {
        return id;
    }
    // Cut-off or broken JSON still begins with the id, as damocles writes it.
    let text = String::from_utf8_lossy(line);
    let digits: String = text
        .trim_start()
        .strip_prefix("{\"id\":")
        .map(|rest| rest.trim_start().chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    digits.parse().unwrap_or(NO_ID)
}

/// An answer as one line.
pub fn line_of<O: Serialize>(response: &Response<O>) -> Vec<u8> {
    let mut line = serde_json::to_vec(response).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Writes one answer's line.
///
/// # Errors
/// When nobody reads any more.
pub fn write(output: &mut impl Write, line: &[u8]) -> io::Result<()> {
    output.write_all(line)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(mut text: &[u8]) -> Vec<(u64, bool)> {
        let mut out = Vec::new();
        loop {
            match next(&mut text).unwrap() {
                Line::Request(r) => out.push((r.id, true)),
                Line::Malformed(r) => {
                    assert!(r.err_msg.is_some() && r.output.is_none());
                    out.push((r.id, false));
                }
                Line::End => return out,
            }
        }
    }

    #[test]
    fn every_line_is_answered_or_a_request() {
        let text = b"{\"id\":1,\"task\":{}}\n\n{\"id\":2}\nx\n{\"id\":3,\"task\":\xff}\n{\"id\":-4,\"task\":1}\n{\"id\":5,\"task\":[1,";
        assert_eq!(ids(text), [(1, true), (0, false), (2, false), (0, false), (3, false), (0, false), (5, false)]);
    }

    #[test]
    fn an_answer_is_one_line_in_their_spelling() {
        let mut out = line_of(&Response { id: 7, err_msg: None, output: Some(true) });
        out.extend(line_of(&Response::failed(8, "a\nb".to_owned())));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"id\":7,\"err_msg\":null,\"output\":true}\n{\"id\":8,\"err_msg\":\"a\\nb\",\"output\":null}\n"
        );
    }
}
