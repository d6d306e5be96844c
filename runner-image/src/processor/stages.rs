//! The stages that damocles has tasks for.

/// A stage by damocles' name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    AddPieces,
    TreeD,
    Pc1,
    Pc2,
    C2,
    SnapEncode,
    SnapProve,
}

const ALL: [Stage; 7] =
    [Stage::AddPieces, Stage::TreeD, Stage::Pc1, Stage::Pc2, Stage::C2, Stage::SnapEncode, Stage::SnapProve];

impl Stage {
    /// The name in damocles' configuration and in the ready line.
    pub fn name(self) -> &'static str {
        match self {
            Stage::AddPieces => "add_pieces",
            Stage::TreeD => "tree_d",
            Stage::Pc1 => "pc1",
            Stage::Pc2 => "pc2",
            Stage::C2 => "c2",
            Stage::SnapEncode => "snap_encode",
            Stage::SnapProve => "snap_prove",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// All names, for a sentence.
    pub fn names() -> String {
        ALL.map(Stage::name).join(", ")
    }
}
