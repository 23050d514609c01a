/// How the columns of a CSV file become arrays.
///
/// - A *family* is a set of columns `name.0 ... name.(k-1)` or `name[0] ... name[k-1]`, complete and in any order, with
///   no column that is called `name` itself. It is one array `name` of shape [N, k].
/// - Any other column is an array of shape [N] under its own name.
struct CSVColumns {
    struct Group {
        var name: String
        /// Column indices in the order of the array's last axis.
        var columns: [Int]
        var isFamily: Bool
    }

    /// Ordered by first appearance in the file.
    let groups: [Group]

    init(names: [String]) {
        let plainNames = Set(names)
        var members: [String: [Int: Int]] = [:]
        for (column, name) in names.enumerated() {
            guard let (family, index) = Self.familyMember(name), !plainNames.contains(family) else { continue }
            // name.0 and name[0] together are no family: the empty slot below breaks it.
            members[family, default: [:]][members[family]?[index] == nil ? index : -1] = column
        }
        let families = members.filter { _, slots in (0..<slots.count).allSatisfy { slots[$0] != nil } }
        var groups: [Group] = []
        var done: Set<String> = []
        for (column, name) in names.enumerated() {
            if let (family, _) = Self.familyMember(name), let slots = families[family] {
                if done.insert(family).inserted {
                    let columns = (0..<slots.count).map { slots[$0]! }
                    groups.append(Group(name: family, columns: columns, isFamily: true))
                }
            } else {
                groups.append(Group(name: name, columns: [column], isFamily: false))
            }
        }
        self.groups = groups
    }

    /// Splits `name.3` or `name[3]`; the index is written without leading zeros.
    static func familyMember(_ column: String) -> (family: String, index: Int)? {
        let family: Substring
        let digits: Substring
        if column.hasSuffix("]"), let bracket = column.lastIndex(of: "[") {
            family = column[..<bracket]
            digits = column[column.index(after: bracket)...].dropLast()
        } else if let dot = column.lastIndex(of: ".") {
            family = column[..<dot]
            digits = column[column.index(after: dot)...]
        } else {
            return nil
        }
        guard !family.isEmpty, let index = Int(digits), index >= 0, String(index) == digits else { return nil }
        return (String(family), index)
    }
}
