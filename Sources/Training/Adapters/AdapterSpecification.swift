/// Which adapters to add, as the user writes it: `lora:rank=8`, `lora:rank=4,alpha=16:encoder.*`.
public struct AdapterSpecification: Sendable, Hashable {
    public var rank: Int
    /// The adapter's result is scaled by alpha / rank; nil for a scale of 1.
    public var alpha: Double?
    /// Which weights get one; nil for every weight of a linear layer.
    public var pattern: String?

    public init(rank: Int, alpha: Double? = nil, pattern: String? = nil) {
        self.rank = rank
        self.alpha = alpha
        self.pattern = pattern
    }

    /// - Returns: nil for text that says no such thing.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0] == "lora" else { return nil }
        var rank: Int?
        for setting in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
            let sides = setting.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2 else { return nil }
            switch sides[0] {
            case "rank": rank = Int(sides[1])
            case "alpha":
                guard let value = Double(sides[1]), value > 0, value.isFinite else { return nil }
                alpha = value
            default: return nil
            }
        }
        guard let rank, rank >= 1 else { return nil }
        self.rank = rank
        if parts.count == 3 {
            guard !parts[2].isEmpty else { return nil }
            pattern = String(parts[2])
        }
    }

    var scale: Float { alpha.map { Float($0 / Double(rank)) } ?? 1 }
}
