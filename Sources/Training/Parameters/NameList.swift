/// `'a', 'b', 'c', 'd' and 3 more`, for lines that tell users of tensors.
func nameList(_ names: [String]) -> String {
    let shown = 4
    let rest = names.count > shown ? " and \(names.count - shown) more" : ""
    return names.prefix(shown).map { "'\($0)'" }.joined(separator: ", ") + rest
}
