//! Edits of one Merkle path.

use serde_json::{Value, json};

use super::{Edit, at, edit, no_field_element, overwrite};

/// Edits of the path at the JSON pointer `place`.
pub fn paths(name: &str, place: String) -> Vec<Edit> {
    let op = |what: &str, f: fn(&mut Value)| {
        let place = place.clone();
        edit(format!("{name}: {what}"), move |p, _| f(at(p, &place)))
    };
    vec![
        op("leaf overwritten", |m| overwrite(&mut m["leaf"])),
        op("root overwritten", |m| overwrite(&mut m["root"])),
        op("leaf no field element", |m| m["leaf"] = no_field_element()),
        op("root no field element", |m| m["root"] = no_field_element()),
        op("sibling overwritten at the leaf", |m| {
            overwrite(&mut m["path"]["path"][0]["hashes"][0])
        }),
        op("last sibling overwritten at the root", |m| {
            let top = levels(m).last_mut().unwrap();
            overwrite(top["hashes"].as_array_mut().unwrap().last_mut().unwrap());
        }),
        op("all siblings overwritten", |m| {
            levels(m)
                .iter_mut()
                .flat_map(|l| l["hashes"].as_array_mut().unwrap())
                .for_each(overwrite);
        }),
        op("sibling no field element", |m| {
            levels(m)[1]["hashes"][0] = no_field_element()
        }),
        op("sibling left out", |m| {
            drop(levels(m)[0]["hashes"].as_array_mut().unwrap().remove(0))
        }),
        op("no siblings", |m| levels(m)[0]["hashes"] = json!([])),
        op("a sibling more", |m| {
            let more = levels(m)[0]["hashes"][0].clone();
            levels(m)[0]["hashes"].as_array_mut().unwrap().push(more);
        }),
        op("position changed", |m| {
            let index = levels(m)[0]["index"].as_u64().unwrap();
            levels(m)[0]["index"] = json!(index ^ 1);
        }),
        op("position beyond the level", |m| {
            levels(m)[0]["index"] = json!(8)
        }),
        op("position huge", |m| levels(m)[1]["index"] = json!(u64::MAX)),
        op("cut at the leaf", |m| drop(levels(m).remove(0))),
        op("cut at the root", |m| drop(levels(m).pop())),
        op("cut at the leaf, leaf moved up", |m| {
            let up = levels(m)[1]["hashes"][0].clone();
            levels(m).remove(0);
            m["leaf"] = up;
        }),
        op("empty, leaf for root", |m| {
            levels(m).clear();
            m["root"] = m["leaf"].clone();
        }),
        op("a level more", |m| {
            let more = levels(m)[0].clone();
            levels(m).push(more);
        }),
        op("a level more with position 0", |m| {
            let mut more = levels(m)[0].clone();
            more["index"] = json!(0);
            levels(m).push(more);
        }),
        op("levels exchanged", |m| levels(m).reverse()),
        {
            let outer = place.trim_end_matches("/Single").to_owned();
            edit(format!("{name}: laid out as a sub-tree"), move |p, _| {
                let single = at(p, &outer)["Single"].take();
                let mut levels = single["path"]["path"].as_array().unwrap().clone();
                let top = levels.pop().unwrap();
                *at(p, &outer) = json!({ "Sub": {
                    "base_proof": { "path": levels }, "sub_proof": { "path": [top] },
                    "root": single["root"], "leaf": single["leaf"],
                }});
            })
        },
    ]
}

fn levels(merkle: &mut Value) -> &mut Vec<Value> {
    merkle["path"]["path"].as_array_mut().expect("levels")
}
