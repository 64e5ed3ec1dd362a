//! What the transformers share about the mapping.

use orderflow_events::*;

use crate::AT;

pub fn seen() -> FieldsSeen {
    let mut name = FieldHistory::new("company.name");
    (0..70).for_each(|order| name.note(order % 9 > 0, AT));
    let mut sku = FieldHistory::new("product_list[*].sku");
    (0..3).for_each(|order| sku.note(order < 1, AT));
    let fields = MappingFields { mapping: "0123456789abcdef".into(), at: AT, fields: vec![name, sku] };
    FieldsSeen { mappings: vec![fields] }
}

fn text(version: &str) -> MappingText {
    let text = Payload { encoding: Encoding::Plain, size: 15, bytes: b"key = \"orderNo\"".to_vec() };
    MappingText { version: version.into(), text, since: AT }
}

pub fn held() -> MappingState {
    let mut state = MappingState::default();
    state.put_in_use(text("0123456789abcdef"));
    state.held = Some(MappingHold {
        mapping: text("fedcba9876543210"),
        instead: "0123456789abcdef".into(),
        orders: 30,
        fields: vec![EmptiedField { field: "customerName".into(), had: 29 }],
    });
    state
}
