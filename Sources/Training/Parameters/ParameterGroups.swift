public import PrivateGradients

/// Clipping groups given by patterns of names (`--clip-group`).
public enum ParameterGroups {
    /// - Parameters:
    ///   - patterns: a pattern and the clipping norm C_k of each group.
    ///   - names: the parameters that train, each of which one pattern must match.
    /// - Throws: `SelectionError` naming a pattern that matches nothing, or a parameter in no group or in several.
    public static func resolve(_ patterns: [(pattern: String, norm: Double)], among names: [String])
        throws(SelectionError) -> [ClippingGroup]
    {
        var groupOf: [String: String] = [:]
        var groups: [ClippingGroup] = []
        for (pattern, norm) in patterns {
            let glob = GlobPattern(pattern)
            let members = names.contains(pattern) ? [pattern] : names.filter(glob.matches)
            if members.isEmpty {
                let close = CloseNames.suggestions(for: pattern, among: names)
                let hint = close.isEmpty ? "check lists the names" : "did you mean \(quotedList(close))?"
                throw SelectionError("--clip-group \(quoted(pattern)) matches no parameter that trains; \(hint)")
            }
            for name in members {
                if let other = groupOf.updateValue(pattern, forKey: name) {
                    throw SelectionError(
                        "parameter \(quoted(name)) is in two groups, --clip-group \(quoted(other)) and \(quoted(pattern)); one of them must leave it out"
                    )
                }
            }
            groups.append(ClippingGroup(parameters: members, norm: norm))
        }
        if let left = names.first(where: { groupOf[$0] == nil }) {
            throw SelectionError(
                "parameter \(quoted(left)) is in no group; give it one with --clip-group, or freeze it with --frozen")
        }
        return groups
    }
}
