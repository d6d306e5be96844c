//! Random mutations of a JSON text's values, from a seed that makes a run repeatable.

use serde_json::{Value, json};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Changes one to three places of `value`, at random depths.
pub fn mutate(value: &mut Value, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let depth = 2 + random.below(14);
        let place = descend(value, depth, random);
        change(place, random);
    }
}

fn descend<'a>(value: &'a mut Value, depth: usize, random: &mut Random) -> &'a mut Value {
    let inner = match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if depth == 0 || inner == 0 {
        return value;
    }
    let choice = random.below(inner);
    match value {
        Value::Array(items) => descend(&mut items[choice], depth - 1, random),
        Value::Object(fields) => {
            let next = fields.values_mut().nth(choice).expect("a field");
            descend(next, depth - 1, random)
        }
        other => other,
    }
}

fn change(place: &mut Value, random: &mut Random) {
    match place {
        Value::Number(n) => {
            let old = n.as_u64().unwrap_or(0);
            *place = match random.below(6) {
                0 => json!(old ^ 1),
                1 => json!(old.wrapping_add(1)),
                2 => json!(random.below(256)),
                3 => json!(u64::MAX),
                4 => json!(-1),
                _ => json!(old ^ (1 << random.below(8))),
            };
        }
        Value::Array(items) if !items.is_empty() => {
            let (i, j) = (random.below(items.len()), random.below(items.len()));
            match random.below(7) {
                0 => drop(items.remove(i)),
                1 => items.insert(i, items[j].clone()),
                2 => items.swap(i, j),
                3 => items.truncate(i),
                4 => items[i] = items[j].clone(),
                5 => items.rotate_left(i),
                _ => items.reverse(),
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let (a, b) = (
                &keys[random.below(keys.len())],
                &keys[random.below(keys.len())],
            );
            match random.below(4) {
                0 => drop(fields.remove(a)),
                1 => fields[a] = fields[b].clone(),
                2 => {
                    let kept = fields.remove(a).expect("a field");
                    fields.insert(format!("{a}_"), kept);
                }
                _ => {
                    let (x, y) = (fields[a].clone(), fields[b].clone());
                    fields[a] = y;
                    fields[b] = x;
                }
            }
        }
        other => *other = json!(random.below(300)),
    }
}
