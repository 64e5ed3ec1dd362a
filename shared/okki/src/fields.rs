//! The fields of an order that the source documents.

/// The top-level fields of an order, as the list and the detail of an order have them.
pub const FIELDS: [&str; 27] = [
    "order_id",
    "order_no",
    "name",
    "account_date",
    "currency",
    "exchange_rate",
    "amount",
    "amount_rmb",
    "product_total_amount",
    "addition_cost_amount",
    "company",
    "company_name",
    "customer",
    "create_time",
    "update_time",
    "delete_time",
    "archive_type",
    "status",
    "status_name",
    "product_list",
    "cost_list",
    "remark",
    "country",
    "price_contract",
    "transport_mode",
    "source_type",
    "users",
];

/// The fields of a line in `product_list`.
pub const LINE_FIELDS: [&str; 9] = [
    "unique_id",
    "product_id",
    "sku_id",
    "product_no",
    "product_name",
    "count",
    "unit_price",
    "cost_amount",
    "other_cost",
];

/// Whether the list of orders lacks a field that the detail of an order has: lines, costs, status, and custom fields, whose
/// names are numbers.
pub fn is_only_in_detail(name: &str) -> bool {
    let is_custom = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    is_custom || matches!(name, "product_list" | "cost_list" | "status" | "status_name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_fields_and_lines_need_the_detail() {
        for name in ["product_list", "status_name", "1101060384"] {
            assert!(is_only_in_detail(name), "{name}");
        }
        for name in ["order_no", "company", ""] {
            assert!(!is_only_in_detail(name), "{name}");
        }
    }
}
