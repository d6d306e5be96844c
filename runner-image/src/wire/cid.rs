//! Commitments as CIDs and hex.
//!
//! CommD and piece commitments are CIDv1 with codec fil-commitment-unsealed (0xf101) and multihash
//! sha2-256-trunc254-padded (0x1012); CommR has codec fil-commitment-sealed (0xf102) and multihash
//! poseidon-bls12_381-a2-fc1 (0xb401). Both numbers are from the multicodec table.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// CIDv1, the codec and the multihash code as varints, then the digest's length.
const UNSEALED: [u8; 7] = [0x01, 0x81, 0xe2, 0x03, 0x92, 0x20, 0x20];
const SEALED: [u8; 8] = [0x01, 0x82, 0xe2, 0x03, 0x81, 0xe8, 0x02, 0x20];

/// Which of the two kinds a commitment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CommD, or a piece.
    Unsealed,
    /// CommR.
    Sealed,
}

impl Kind {
    fn prefix(self) -> &'static [u8] {
        match self {
            Kind::Unsealed => &UNSEALED,
            Kind::Sealed => &SEALED,
        }
    }
}

/// The CID of a commitment, in lowercase base32 with its multibase prefix `b`.
pub fn encode(kind: Kind, commitment: &[u8; 32]) -> String {
    let mut out = String::from("b");
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in kind.prefix().iter().chain(commitment) {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(ALPHABET[(bits >> count) as usize & 31] as char);
        }
    }
    if count > 0 {
        out.push(ALPHABET[(bits << (5 - count)) as usize & 31] as char);
    }
    out
}

/// Reads a CID of that kind, or 64 hex digits. `None` when it is neither.
pub fn decode(kind: Kind, text: &str) -> Option<[u8; 32]> {
    // A CID of CommD has 64 characters too, but begins `baga…`, which is no hex.
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return hex::decode(text).ok()?.try_into().ok();
    }
    let digits = text.strip_prefix('b')?;
    let (mut bits, mut count, mut bytes) = (0u32, 0u32, Vec::with_capacity(40));
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == digit)?;
        bits = (bits << 5) | value as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    let commitment: [u8; 32] = bytes.strip_prefix(kind.prefix())?.try_into().ok()?;
    // Padding bits that are not zero would be a second spelling of the same CID.
    (encode(kind, &commitment) == text).then_some(commitment)
}

macro_rules! commitment {
    ($name:ident, $kind:expr, $what:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The CID.
            pub fn cid(&self) -> String {
                encode($kind, &self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut both = serializer.serialize_struct("Commitment", 2)?;
                both.serialize_field("cid", &self.cid())?;
                both.serialize_field("hex", &hex::encode(self.0))?;
                both.end()
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let bytes = decode($kind, &text).ok_or_else(|| {
                    de::Error::custom(format!(
                        concat!($what, " is neither its CID nor 64 hex digits: {:?}"),
                        text
                    ))
                })?;
                // The proofs compute with commitments as field elements; zero is what a caller
                // that forgot to fill one in sends.
                if bytes == [0; 32] || fr32::bytes_into_fr(&bytes).is_err() {
                    return Err(de::Error::custom(concat!(
                        $what,
                        " is zero or no field element"
                    )));
                }
                Ok($name(bytes))
            }
        }
    };
}

commitment!(
    UnsealedCid,
    Kind::Unsealed,
    "an unsealed commitment",
    "CommD, or a piece's commitment. In requests a string (CID or hex), in answers `{cid, hex}`."
);
commitment!(
    SealedCid,
    Kind::Sealed,
    "a sealed commitment",
    "CommR. In requests a string (CID or hex), in answers `{cid, hex}`."
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The CommD of an empty 32 GiB sector, as every explorer shows it.
    const EMPTY_32_GIB: &str = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";

    #[test]
    fn a_known_cid_is_read_and_written() {
        let commitment = decode(Kind::Unsealed, EMPTY_32_GIB).expect("a CID");
        assert_eq!(
            hex::encode(commitment),
            "077e5fde35c50a9303a55009e3498a4ebedff39c42b710b730d8ec7ac7afa63e"
        );
        assert_eq!(encode(Kind::Unsealed, &commitment), EMPTY_32_GIB);
    }

    #[test]
    fn a_cid_of_the_other_kind_or_spelling_is_refused() {
        assert_eq!(decode(Kind::Sealed, EMPTY_32_GIB), None);
        let sealed = encode(Kind::Sealed, &[7; 32]);
        assert!(sealed.starts_with("bagboea4b5abc"), "{sealed}");
        assert_eq!(decode(Kind::Sealed, &sealed), Some([7; 32]));
        for wrong in [
            "",
            "b",
            "B",
            &EMPTY_32_GIB[1..],
            &EMPTY_32_GIB.to_uppercase(),
            "zz",
        ] {
            assert_eq!(decode(Kind::Unsealed, wrong), None, "{wrong:?}");
        }
        let last_bits_set = format!("{}r", &EMPTY_32_GIB[..EMPTY_32_GIB.len() - 1]);
        assert_eq!(decode(Kind::Unsealed, &last_bits_set), None);
    }
}
