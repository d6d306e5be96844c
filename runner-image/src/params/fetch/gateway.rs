//! One HTTP request to a gateway: a file from some byte on.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;

use super::Wanted;

/// How long looking up a name and connecting may take.
const CONNECT: Duration = Duration::from_secs(15);

/// Why a gateway did not answer as asked.
#[derive(Debug)]
pub enum Refusal {
    /// Trying again may help: broken connection, timeout, overload.
    Transient(String),
    /// This gateway will not give the file.
    Final(String),
    /// The gateway says the file is not longer than what we have.
    NothingThere,
}

/// A body under way.
pub struct Stream {
    /// The file's byte that the body begins with: the one asked for, or 0 when ranges are ignored.
    pub start: u64,
    /// The file's size.
    pub total: u64,
    /// The bytes.
    pub body: Box<dyn Read + Send>,
}

/// An HTTP client that gives up on a server that sends nothing for `idle`.
pub fn agent(idle: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .accept_encoding("identity")
        .user_agent("sealpool-prover")
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(idle))
        .timeout_per_read(Some(idle))
        .timeout_per_write(Some(idle))
        .build()
        .into()
}

/// Where `gateway` keeps a file.
pub fn url(gateway: &str, file: &Wanted) -> String {
    if gateway.contains("{cid}") || gateway.contains("{name}") {
        gateway
            .replace("{cid}", &file.cid)
            .replace("{name}", &file.name)
    } else {
        format!("{}/ipfs/{}", gateway.trim_end_matches('/'), file.cid)
    }
}

/// Asks for the file from byte `from` on.
pub fn open(agent: &Agent, url: &str, from: u64) -> Result<Stream, Refusal> {
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    let response = request.call().map_err(|e| match e {
        ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl => Refusal::Final(e.to_string()),
        _ => Refusal::Transient(e.to_string()),
    })?;
    let status = response.status().as_u16();
    let (start, total) = match status {
        200 => (0, number(&response, "content-length")),
        206 => match content_range(&response) {
            Some((start, total)) if start == from => (start, total),
            _ => {
                return Err(Refusal::Final(
                    "it answered with another range than asked for".into(),
                ));
            }
        },
        416 if from > 0 => return Err(Refusal::NothingThere),
        408 | 425 | 429 | 500..=599 => return Err(Refusal::Transient(format!("status {status}"))),
        _ => return Err(Refusal::Final(format!("status {status}"))),
    };
    // Without it a gateway could fill the disk before the digest tells.
    let total =
        total.ok_or_else(|| Refusal::Final("it does not say how long the file is".into()))?;
    Ok(Stream {
        start,
        total,
        body: Box::new(response.into_body().into_reader()),
    })
}

fn number<B>(response: &Response<B>, name: &str) -> Option<u64> {
    response
        .headers()
        .get(name)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// First byte and total size of `Content-Range: bytes 5-9/10`.
fn content_range<B>(response: &Response<B>) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get("content-range")?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}
