//! Edits of columns and of the lists of parents.

use serde_json::{Value, json};

use super::{Edit, at, edit, list, no_field_element, overwrite};

/// Edits of the column at the JSON pointer `place`.
pub fn columns(name: &str, place: String) -> Vec<Edit> {
    let op = |what: &str, f: fn(&mut Value)| {
        let place = place.clone();
        edit(format!("{name}: {what}"), move |p, _| {
            f(&mut at(p, &place)["column"])
        })
    };
    vec![
        op("label of layer 1 overwritten", |c| {
            overwrite(&mut c["rows"][0])
        }),
        op("label of layer 2 overwritten", |c| {
            overwrite(&mut c["rows"][1])
        }),
        op("label no field element", |c| {
            c["rows"][0] = no_field_element()
        }),
        op("layers exchanged", |c| {
            c["rows"].as_array_mut().unwrap().reverse()
        }),
        op("a layer left out", |c| {
            drop(c["rows"].as_array_mut().unwrap().pop())
        }),
        op("a layer more", |c| {
            let more = c["rows"][0].clone();
            c["rows"].as_array_mut().unwrap().push(more);
        }),
        op("eleven layers", |c| {
            c["rows"] = json!(vec![c["rows"][0].clone(); 11])
        }),
        op("no layers", |c| c["rows"] = json!([])),
        op("said to be another node's", |c| {
            c["index"] = json!(c["index"].as_u64().unwrap() ^ 1)
        }),
        op("said to be a node beyond the sector", |c| {
            c["index"] = json!(u32::MAX)
        }),
    ]
}

/// Edits of the parents of the challenge at the JSON pointer `place`.
pub fn parents(place: String) -> Vec<Edit> {
    let mut edits = Vec::new();
    for side in ["drg_parents", "exp_parents"] {
        let op = |what: &str, f: fn(&mut Vec<Value>)| {
            let place = format!("{place}/{side}");
            edit(format!("{side}: {what}"), move |p, _| f(list(p, &place)))
        };
        edits.extend([
            op("none", |l| l.clear()),
            op("first left out", |l| drop(l.remove(0))),
            op("last left out", |l| drop(l.pop())),
            op("only the first", |l| l.truncate(1)),
            op("one more", |l| l.push(l[0].clone())),
            op("all twice", |l| l.extend(l.clone())),
            op("all the same", |l| {
                let one = l[1].clone();
                l.fill(one);
            }),
            op("in reverse", |l| l.reverse()),
            op("turned by one", |l| l.rotate_left(1)),
            op("two exchanged", |l| {
                // A node may be a parent twice: take one that differs.
                let other = l.iter().rposition(|p| *p != l[0]).expect("two parents");
                l.swap(0, other);
            }),
        ]);
    }
    let inner = place.clone();
    edits.push(edit("base and expander parents exchanged", move |p, _| {
        let expander = at(p, &inner)["exp_parents"].take();
        let base = std::mem::replace(&mut at(p, &inner)["drg_parents"], expander);
        at(p, &inner)["exp_parents"] = base;
    }));
    let inner = place.clone();
    edits.push(edit(
        "an expander parent moved to the base parents",
        move |p, _| {
            let moved = list(p, &format!("{inner}/exp_parents")).remove(0);
            list(p, &format!("{inner}/drg_parents")).push(moved);
        },
    ));
    let inner = place.clone();
    edits.push(edit("parents of the other challenge", move |p, _| {
        let others = at(p, &inner.replace("/0/0/", "/0/1/"))["exp_parents"].clone();
        at(p, &inner)["exp_parents"] = others;
    }));
    let inner = place.clone();
    edits.push(edit(
        "challenged column of the other challenge",
        move |p, _| {
            let others = at(p, &inner.replace("/0/0/", "/0/1/"))["c_x"].clone();
            at(p, &inner)["c_x"] = others;
        },
    ));
    edits.push(edit(
        "a parent replaced by the challenged column",
        move |p, _| {
            let own = at(p, &place)["c_x"].clone();
            list(p, &format!("{place}/exp_parents"))[2] = own;
        },
    ));
    edits
}
