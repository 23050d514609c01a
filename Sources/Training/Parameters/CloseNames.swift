/// Names that somebody who mistyped one may have meant.
enum CloseNames {
    /// Up to three of `names` that differ from `name` in few letters or contain it, the closest first.
    static func suggestions(for name: String, among names: [String]) -> [String] {
        let wanted = Array(name.lowercased())
        guard !wanted.isEmpty else { return [] }
        let limit = max(1, wanted.count / 3)
        let ranked = names.enumerated().compactMap { order, candidate -> (distance: Int, order: Int, name: String)? in
            let letters = Array(candidate.lowercased())
            var distance = abs(letters.count - wanted.count) <= limit ? distance(wanted, letters) : .max
            if distance > limit, wanted.count >= 3, candidate.lowercased().contains(name.lowercased()) {
                distance = limit
            }
            return distance <= limit ? (distance, order, candidate) : nil
        }
        return ranked.sorted { ($0.distance, $0.order) < ($1.distance, $1.order) }.prefix(3).map(\.name)
    }

    /// Letters to insert, remove or replace (Levenshtein).
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var row = Array(0...right.count)
        for (i, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in right.enumerated() {
                let replaced = diagonal + (letter == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[right.count]
    }
}
