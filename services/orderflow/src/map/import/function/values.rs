//! The values of the order that an expression names, and the list that they are members of.

use super::Sql;
use crate::map::import::template::{Path, Piece, Step};

/// Lists of OKKI's orders; the platform writes their members as `product_list_count` where it has flattened an order.
pub(super) const LISTS: [&str; 2] = ["product_list", "cost_list"];

/// The list whose elements all values of an expression are members of.
pub(super) fn list_of(sql: &Sql) -> Option<Path> {
    let mut values = Vec::new();
    collect(sql, &mut values);
    let mut lists = values.into_iter().filter_map(|path| match flattened(path) {
        Some((list, _)) => Some(list),
        None if path.0.len() > 1 => Some(Path(path.0[..path.0.len() - 1].to_vec())),
        None => None, // the order's own
    });
    let first = lists.next()?;
    lists.all(|list| list == first).then_some(first)
}

/// The member of the list's elements, when that is all that is added up.
pub(super) fn member_of(sql: &Sql, list: &Path) -> Option<Path> {
    match flat_members(sql, list) {
        Sql::Value(path) => path.behind(list),
        _ => None,
    }
}

/// `product_list_count` as `product_list` and `count`.
pub(super) fn flattened(path: &Path) -> Option<(Path, Path)> {
    let [Step::Name(name)] = path.0.as_slice() else { return None };
    LISTS.into_iter().find_map(|list| {
        let member = name.strip_prefix(list)?.strip_prefix('_').filter(|member| !member.is_empty())?;
        Some((Path::read(list)?, Path::read(member)?))
    })
}

/// The same expression with the members of a list named within it.
pub(super) fn flat_members(sql: &Sql, list: &Path) -> Sql {
    let again = |sql: &Sql| Box::new(flat_members(sql, list));
    let all = |items: &[Sql]| items.iter().map(|item| flat_members(item, list)).collect();
    match sql {
        Sql::Value(path) => match flattened(path) {
            Some((of, member)) if of == *list => Sql::Value(Path([of.0, member.0].concat())),
            _ => sql.clone(),
        },
        Sql::Negated(of) => Sql::Negated(again(of)),
        Sql::Not(of) => Sql::Not(again(of)),
        Sql::Two(operator, left, right) => Sql::Two(*operator, again(left), again(right)),
        Sql::Call(name, arguments) => Sql::Call(name.clone(), all(arguments)),
        Sql::Case(branches, otherwise) => {
            let branch =
                |(condition, given): &(Sql, Sql)| (flat_members(condition, list), flat_members(given, list));
            Sql::Case(branches.iter().map(branch).collect(), otherwise.as_deref().map(again))
        }
        Sql::In(left, items) => Sql::In(again(left), all(items)),
        Sql::Like(left, pattern) => Sql::Like(again(left), pattern.clone()),
        Sql::Number(_) | Sql::Text(_) | Sql::Template(_) | Sql::Null => sql.clone(),
    }
}

/// The values of the order that an expression names.
fn collect<'s>(sql: &'s Sql, values: &mut Vec<&'s Path>) {
    match sql {
        Sql::Value(path) => values.push(path),
        Sql::Negated(of) | Sql::Not(of) | Sql::Like(of, _) => collect(of, values),
        Sql::Two(_, left, right) => {
            collect(left, values);
            collect(right, values);
        }
        Sql::Call(_, arguments) => arguments.iter().for_each(|argument| collect(argument, values)),
        Sql::Case(branches, otherwise) => {
            for (condition, given) in branches {
                collect(condition, values);
                collect(given, values);
            }
            otherwise.iter().for_each(|otherwise| collect(otherwise, values));
        }
        Sql::In(left, items) => {
            collect(left, values);
            items.iter().for_each(|item| collect(item, values));
        }
        Sql::Template(pieces) => values.extend(pieces.iter().filter_map(|piece| match piece {
            Piece::Path { path, .. } => Some(path),
            _ => None,
        })),
        Sql::Number(_) | Sql::Text(_) | Sql::Null => {}
    }
}
