//! What both checks say to each forgery.

use sealpool_prover::strict::Claim;
use serde_json::Value;

use crate::verdict::{self, Verdict};

/// Verdicts as they come, printed as a table; `finish` fails when one forgery was accepted.
#[derive(Default)]
pub struct Table {
    pub rows: Vec<(String, Verdict, Verdict, String)>,
}

impl Table {
    pub fn judge(&mut self, name: String, proofs: &Value, claim: &Claim) {
        let (strict, sentence) = verdict::strict(proofs, claim);
        self.rows
            .push((name, strict, verdict::library(proofs, claim), sentence));
    }

    pub fn finish(self, at_least: usize) {
        println!("believed by the library:");
        for (name, strict, library, sentence) in self.rows.iter().filter(|r| r.2 == Verdict::Accepts) {
            println!("{name:<75} strict {strict:?}, library {library:?} | {sentence}");
        }
        let count = |v| self.rows.iter().filter(|r| r.2 == v).count();
        println!(
            "{} forgeries: the library accepts {}, panics on {}, refuses {}, cannot read {}",
            self.rows.len(),
            count(Verdict::Accepts),
            count(Verdict::Panics),
            count(Verdict::Refuses),
            count(Verdict::Unreadable),
        );
        let passed: Vec<_> = self
            .rows
            .iter()
            .filter(|r| matches!(r.1, Verdict::Accepts | Verdict::Panics))
            .collect();
        assert!(passed.is_empty(), "not refused: {passed:#?}");
        assert!(
            self.rows.len() >= at_least,
            "only {} forgeries were tried",
            self.rows.len()
        );
    }
}
