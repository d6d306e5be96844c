//! `<stage> [--network main|calibration|dev] [--concurrency N]`

use std::thread::available_parallelism;

use crate::wire::request::Network;

use super::stages::Stage;

/// What the processor was started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments {
    pub stage: Stage,
    /// Decides which proof parameters are used; `main` when not given.
    pub network: Network,
    /// Tasks that run at a time; more wait in the queue.
    pub concurrency: usize,
}

impl Arguments {
    /// # Errors
    /// What is wrong, and what can be given.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let (name, mut rest) = args.split_first().ok_or_else(|| {
            format!("no stage was given; give one of {}", Stage::names())
        })?;
        let stage = Stage::named(name).ok_or_else(|| {
            format!("there is no processor for stage {name:?}; give one of {}", Stage::names())
        })?;
        let mut arguments = Self { stage, network: Network::Main, concurrency: default_concurrency(stage) };
        while let [option, value, more @ ..] = rest {
            match (*option, *value) {
                ("--network", "main") => arguments.network = Network::Main,
                ("--network", "calibration") => arguments.network = Network::Calibration,
                ("--network", "dev") => arguments.network = Network::Dev,
                ("--concurrency", n) => {
                    arguments.concurrency = n.parse().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(|| {
                        format!("--concurrency {n:?} is no number from 1 to 1024; give how many tasks may run at a time")
                    })?;
                }
                _ => return Err(format!("{option} {value} means nothing here; give --network main, calibration or dev, or --concurrency N")),
            }
            rest = more;
        }
        match rest {
            [] => Ok(arguments),
            more => Err(format!("{more:?} has no value; give --network NAME or --concurrency N")),
        }
    }

    /// The words that start a process for one task of this processor.
    pub fn task_words(&self) -> [&'static str; 3] {
        let network = match self.network {
            Network::Main => "main",
            Network::Calibration => "calibration",
            Network::Dev => "dev",
        };
        [self.stage.name(), "--network", network]
    }
}

/// One at a time where a task takes the GPU or every core; else one a core.
fn default_concurrency(stage: Stage) -> usize {
    match stage {
        Stage::Pc2 | Stage::C2 | Stage::SnapEncode | Stage::SnapProve => 1,
        Stage::AddPieces | Stage::TreeD | Stage::Pc1 => available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_arguments() {
        let parsed = Arguments::parse(&["c2", "--network", "dev", "--concurrency", "3"]).unwrap();
        assert_eq!(parsed, Arguments { stage: Stage::C2, network: Network::Dev, concurrency: 3 });
        assert_eq!(Arguments::parse(&parsed.task_words()).unwrap().network, Network::Dev);
        assert_eq!(Arguments::parse(&["pc2"]).unwrap().concurrency, 1);
    }

    #[test]
    fn wrong_words_are_named() {
        for (words, part) in [
            (&[][..], "no stage"),
            (&["c1"], "\"c1\""),
            (&["c2", "--concurrency", "0"], "1 to 1024"),
            (&["c2", "--network", "lunar"], "lunar"),
            (&["c2", "--network"], "no value"),
        ] {
            let sentence = Arguments::parse(words).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
