import Training

/// Names of tensors in a program, and of the modules that own them.
enum TensorNaming {
    /// The module of a tensor's dotted name; "" for a tensor of the whole program.
    static func module(of name: String) -> String {
        name.lastIndex(of: ".").map { String(name[..<$0]) } ?? ""
    }

    /// The name of a tensor inside its module.
    static func leaf(of name: String) -> String { String(name.split(separator: ".").last ?? "") }

    /// Whether an exporter made the name up.
    static func isMadeUp(_ name: String) -> Bool { isMadeUpName(name) }

    /// Components that two dotted paths have in common at their beginning.
    static func commonDepth(_ left: String, _ right: String) -> Int {
        zip(left.split(separator: "."), right.split(separator: ".")).prefix { $0 == $1 }.count
    }
}

/// What stands before the names of a state_dict in those of an exported program: a module that was wrapped before it was
/// exported has its tensors under the wrapper's name for it.
struct NamePrefix: Sendable {
    private let added: String
    private let removed: String

    /// The prefix, if any, that gives the most of `names` a place among `known`.
    init(_ names: [String], among known: Set<String>) {
        var votes: [String: Int] = ["+": names.count { known.contains($0) }]
        let byLeaf = Dictionary(grouping: known) { $0.split(separator: ".").last.map(String.init) ?? $0 }
        for name in names {
            let leaf = name.split(separator: ".").last.map(String.init) ?? name
            for other in Set(byLeaf[leaf] ?? []) where other != name {
                if other.hasSuffix("." + name) {
                    votes["+" + other.dropLast(name.count), default: 0] += 1
                } else if name.hasSuffix("." + other) {
                    votes["-" + name.dropLast(other.count), default: 0] += 1
                }
            }
        }
        let best = votes.max { ($0.value, $1.key.count, $1.key) < ($1.value, $0.key.count, $0.key) }!.key
        added = best.hasPrefix("+") ? String(best.dropFirst()) : ""
        removed = best.hasPrefix("-") ? String(best.dropFirst()) : ""
    }

    /// What the exported program calls a tensor of the state_dict.
    func programName(_ name: String) -> String {
        added + (name.hasPrefix(removed) ? name.dropFirst(removed.count) : name[...])
    }
}
