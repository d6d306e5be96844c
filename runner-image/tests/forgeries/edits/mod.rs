//! Named edits of honest vanilla proofs, as JSON.

mod columns;
mod paths;

use columns::{columns, parents};
use paths::paths;
use serde_json::{Value, json};

/// Honest proofs of other sectors and seeds, to take pieces from.
pub struct Stock {
    pub other_seed: Value,
    pub other_sector: Value,
}

/// A name and what it does to the proofs.
pub struct Edit {
    pub name: String,
    pub apply: Box<dyn Fn(&mut Value, &Stock)>,
}

fn edit(name: impl Into<String>, apply: impl Fn(&mut Value, &Stock) + 'static) -> Edit {
    Edit {
        name: name.into(),
        apply: Box::new(apply),
    }
}

const SIZE: &str = "/StackedDrg2KiBV1";
const PARTITION: &str = "/StackedDrg2KiBV1/0";

fn at<'a>(proofs: &'a mut Value, path: &str) -> &'a mut Value {
    proofs
        .pointer_mut(path)
        .unwrap_or_else(|| panic!("{path} is in the proofs"))
}

fn list<'a>(proofs: &'a mut Value, path: &str) -> &'a mut Vec<Value> {
    at(proofs, path).as_array_mut().expect("a list")
}

/// Another field element than the one that is there.
fn overwrite(node: &mut Value) {
    let byte = node[5].as_u64().expect("a byte");
    node[5] = json!(byte ^ 1);
}

fn no_field_element() -> Value {
    json!(vec![255; 32])
}

/// Every edit of the list below, each on the place it names.
pub fn all() -> Vec<Edit> {
    let mut edits = partitions();
    let inner = "/replica_column_proofs";
    for (name, place) in [
        ("data path", "/comm_d_proofs".to_owned()),
        ("replica path", "/comm_r_last_proof".to_owned()),
        ("own column's path", format!("{inner}/c_x/inclusion_proof")),
        (
            "base parent 3's path",
            format!("{inner}/drg_parents/3/inclusion_proof"),
        ),
        (
            "expander parent 5's path",
            format!("{inner}/exp_parents/5/inclusion_proof"),
        ),
    ] {
        edits.extend(paths(name, format!("{PARTITION}/0{place}/data/Single")));
    }
    for (name, place) in [
        ("own column", "c_x"),
        ("base parent 0", "drg_parents/0"),
        ("base parent 5", "drg_parents/5"),
        ("expander parent 0", "exp_parents/0"),
        ("expander parent 7", "exp_parents/7"),
    ] {
        edits.extend(columns(name, format!("{PARTITION}/1{inner}/{place}")));
    }
    edits.extend(parents(format!("{PARTITION}/0{inner}")));
    edits.extend(labels());
    edits
}

fn partitions() -> Vec<Edit> {
    vec![
        edit("no partition", |p, _| list(p, SIZE).clear()),
        edit("one empty partition", |p, _| list(p, PARTITION).clear()),
        edit("an empty partition more", |p, _| {
            list(p, SIZE).push(json!([]))
        }),
        edit("the partition twice", |p, _| {
            let again = at(p, PARTITION).clone();
            list(p, SIZE).push(again);
        }),
        edit("an empty partition before", |p, _| {
            list(p, SIZE).insert(0, json!([]))
        }),
        edit("first challenge left out", |p, _| {
            drop(list(p, PARTITION).remove(0))
        }),
        edit("last challenge left out", |p, _| {
            drop(list(p, PARTITION).pop())
        }),
        edit("challenges exchanged", |p, _| list(p, PARTITION).reverse()),
        edit("first challenge answered twice", |p, _| {
            let first = list(p, PARTITION)[0].clone();
            list(p, PARTITION)[1] = first;
        }),
        edit("a challenge more", |p, _| {
            let first = list(p, PARTITION)[0].clone();
            list(p, PARTITION).push(first);
        }),
        edit("challenges of another seed", |p, s| {
            *p = s.other_seed.clone()
        }),
        edit("one challenge of another seed", |p, s| {
            *at(p, &format!("{PARTITION}/1")) = s
                .other_seed
                .pointer(&format!("{PARTITION}/1"))
                .unwrap()
                .clone();
        }),
        edit("proofs of another sector", |p, s| {
            *p = s.other_sector.clone()
        }),
        edit("one challenge of another sector", |p, s| {
            *at(p, &format!("{PARTITION}/0")) = s
                .other_sector
                .pointer(&format!("{PARTITION}/0"))
                .unwrap()
                .clone();
        }),
        edit("data path of another sector", |p, s| {
            other(p, s, "comm_d_proofs")
        }),
        edit("replica path of another sector", |p, s| {
            other(p, s, "comm_r_last_proof")
        }),
        edit("columns of another sector", |p, s| {
            other(p, s, "replica_column_proofs")
        }),
        edit("labels of another sector", |p, s| {
            other(p, s, "labeling_proofs")
        }),
        edit("encoding of another sector", |p, s| {
            other(p, s, "encoding_proof")
        }),
        edit("said to be 8 MiB", |p, _| rename(p, "StackedDrg8MiBV1")),
        edit("said to be 512 MiB", |p, _| rename(p, "StackedDrg512MiBV1")),
        edit("said to be 32 GiB", |p, _| rename(p, "StackedDrg32GiBV1")),
        edit("said to be 64 GiB", |p, _| rename(p, "StackedDrg64GiBV1")),
    ]
}

fn other(proofs: &mut Value, stock: &Stock, part: &str) {
    let path = format!("{PARTITION}/0/{part}");
    *at(proofs, &path) = stock
        .other_sector
        .pointer(&path)
        .expect("the same part")
        .clone();
}

fn rename(proofs: &mut Value, size: &str) {
    let inner = proofs["StackedDrg2KiBV1"].take();
    *proofs = json!({ size: inner });
}

fn labels() -> Vec<Edit> {
    let op =
        |what: &str, f: fn(&mut Value)| edit(what, move |p, _| f(at(p, &format!("{PARTITION}/1"))));
    vec![
        op("no labelling", |p| p["labeling_proofs"] = json!([])),
        op("labelling of layer 2 left out", |p| {
            drop(p["labeling_proofs"].as_array_mut().unwrap().pop())
        }),
        op("labelling of one layer more", |p| {
            let more = p["labeling_proofs"][1].clone();
            p["labeling_proofs"].as_array_mut().unwrap().push(more);
        }),
        op("labellings exchanged", |p| {
            p["labeling_proofs"].as_array_mut().unwrap().reverse()
        }),
        op("labelling of another layer", |p| {
            p["labeling_proofs"][0]["layer_index"] = json!(2)
        }),
        op("labelling of another node", |p| {
            p["labeling_proofs"][0]["node"] = json!(0)
        }),
        op("labelling without parents", |p| {
            p["labeling_proofs"][1]["parents"] = json!([])
        }),
        op("labelling with a parent overwritten", |p| {
            overwrite(&mut p["labeling_proofs"][1]["parents"][20])
        }),
        op("labelling with a parent left out", |p| {
            drop(
                p["labeling_proofs"][1]["parents"]
                    .as_array_mut()
                    .unwrap()
                    .pop(),
            )
        }),
        op("encoding of another layer", |p| {
            p["encoding_proof"]["layer_index"] = json!(1)
        }),
        op("encoding of another node", |p| {
            p["encoding_proof"]["node"] = json!(u64::MAX)
        }),
        op("encoding without parents", |p| {
            p["encoding_proof"]["parents"] = json!([])
        }),
        op("encoding with a parent overwritten", |p| {
            overwrite(&mut p["encoding_proof"]["parents"][36])
        }),
        op("encoding with layer 1's parents", |p| {
            p["encoding_proof"]["parents"] = p["labeling_proofs"][0]["parents"].clone()
        }),
    ]
}
