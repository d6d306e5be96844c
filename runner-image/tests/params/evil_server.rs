//! A gateway on 127.0.0.1 that misbehaves as told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    /// Answers as asked, ranges too.
    Honest,
    /// Honest for this many bytes of the body, then the connection breaks.
    BreakAfter(usize),
    /// Always sends the file from its beginning, and breaks after this many bytes.
    IgnoreRangeBreakAfter(usize),
    /// The right length, other bytes.
    WrongBytes,
    /// Says 206, but from another byte on than asked for.
    WrongRange,
    /// Sends half of the body, then nothing more while the connection stays open.
    HangHalfway,
    /// Takes the request and says nothing.
    Hang,
    /// This status, no file.
    Status(u16),
    /// Announces a body larger than any parameter file.
    Huge,
    /// Announces 200 GiB, which is possible for a file and too much for most disks.
    Large,
    /// An endless body without a length.
    Endless,
}

/// One request as the server saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `/ipfs/<cid>`
    pub path: String,
    /// First byte of the range asked for.
    pub from: Option<usize>,
    /// Bytes of the body that went out.
    pub sent: usize,
}

/// A running server; it ends with the test process.
pub struct EvilServer {
    /// `http://127.0.0.1:port`
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Hears when a request got all it will get.
    pub served: Receiver<()>,
}

impl EvilServer {
    /// Serves `files` (by CID) in these manners, one a request; the last one goes on for ever.
    pub fn start(files: &[(&str, &[u8])], manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!(
            "http://{}",
            listener.local_addr().expect("the server's address")
        );
        let files: HashMap<String, Vec<u8>> = files
            .iter()
            .map(|(cid, bytes)| (format!("/ipfs/{cid}"), bytes.to_vec()))
            .collect();
        let (files, manners) = (Arc::new(files), manners.to_vec());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (tell, served) = channel();
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for (i, stream) in listener.incoming().flatten().enumerate() {
                let manner = manners[i.min(manners.len() - 1)];
                let (files, log, tell) = (Arc::clone(&files), Arc::clone(&log), tell.clone());
                thread::spawn(move || serve(&stream, manner, &files, &log, &tell));
            }
        });
        Self { url, seen, served }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("the log").clone()
    }
}

fn serve(
    mut stream: &TcpStream,
    manner: Manner,
    files: &HashMap<String, Vec<u8>>,
    log: &Mutex<Vec<Seen>>,
    tell: &Sender<()>,
) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or("").to_string();
    let mut from = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    let file = files.get(&path);
    let note = |sent| {
        log.lock().expect("the log").push(Seen {
            path: path.clone(),
            from,
            sent,
        })
    };
    let (Some(file), false) = (file, matches!(manner, Manner::Status(_))) else {
        let status = if let Manner::Status(s) = manner {
            s
        } else {
            404
        };
        note(0);
        let _ = write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let _ = tell.send(());
        return;
    };
    if manner == Manner::Hang {
        note(0);
        let _ = tell.send(());
        return park(stream);
    }
    let start = match (manner, from) {
        (Manner::IgnoreRangeBreakAfter(_), _) | (_, None) => None,
        (_, Some(start)) if start >= file.len() => {
            note(0);
            let _ = write!(
                stream,
                "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            return;
        }
        (_, Some(start)) => Some(start),
    };
    let mut body = file[start.unwrap_or(0)..].to_vec();
    if manner == Manner::WrongBytes {
        body.iter_mut().for_each(|b| *b ^= 1);
    }
    let shift = usize::from(manner == Manner::WrongRange);
    let length = match manner {
        Manner::Huge => 1 << 50,
        Manner::Large => 200 << 30,
        _ => body.len(),
    };
    let head = match (manner, start) {
        (Manner::Endless, _) => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_string(),
        (_, Some(start)) => format!(
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes {}-{}/{}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            start + shift,
            file.len() - 1,
            file.len()
        ),
        (Manner::WrongRange, None) => format!(
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-{}/{}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            file.len() - 1,
            file.len()
        ),
        (_, None) => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
        }
    };
    let send = match manner {
        Manner::BreakAfter(n) | Manner::IgnoreRangeBreakAfter(n) => n.min(body.len()),
        Manner::HangHalfway => body.len() / 2,
        _ => body.len(),
    };
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body[..send]);
    while manner == Manner::Endless && stream.write_all(&body).is_ok() {}
    let _ = stream.flush();
    note(send);
    let _ = tell.send(());
    if manner == Manner::HangHalfway {
        park(stream);
    }
}

/// Keeps the connection open until the other side closes it.
fn park(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let _ = std::io::copy(&mut reader, &mut std::io::sink());
}
