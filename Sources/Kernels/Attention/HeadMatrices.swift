/// One matrix per head inside a tensor: row r of head h begins at element `offsets[h] + r * stride`, its features lie
/// side by side. Heads may lie in any order, behind the positions or among other features.
public struct HeadMatrices: Hashable, Sendable {
    public var offsets: [Int]
    public var stride: Int

    public init(offsets: [Int], stride: Int) {
        self.offsets = offsets
        self.stride = stride
    }

    /// First element of a head's row.
    func start(_ head: Int, row: Int) -> Int { offsets[head] + row * stride }
}

/// What changes the scores of queries and keys before the softmax: one entry for each query and key, some of them
/// shared by queries or heads.
public struct AttentionMask: Hashable, Sendable {
    public enum Effect: Hashable, Sendable {
        /// A float that is added.
        case added
        /// A truth value; where it equals `where`, the score is replaced by `fill`.
        case replaced(fill: Float, where: Bool)
    }

    public var effect: Effect
    /// First element of each head's matrix [queries, keys].
    public var offsets: [Int]
    /// Elements from one query to the next; 0 where all queries share a row.
    public var stride: Int

    public init(_ effect: Effect, offsets: [Int], stride: Int) {
        self.effect = effect
        self.offsets = offsets
        self.stride = stride
    }

    /// Changes one query's scores of the first `count` keys.
    func apply(_ mask: UnsafeRawPointer, _ head: Int, query: Int, to scores: UnsafeMutablePointer<Float>, _ count: Int)
    {
        let start = offsets[head] + query * stride
        switch effect {
        case .added: addRow(scores, mask.assumingMemoryBound(to: Float.self) + start, count)
        case .replaced(let fill, let replaced):
            Self.replace(mask.assumingMemoryBound(to: UInt8.self) + start, replaced, fill, scores, count)
        }
    }

    /// Takes the gradients of replaced scores away.
    func clear(
        _ mask: UnsafeRawPointer, _ head: Int, query: Int, in gradients: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        guard case .replaced(_, let replaced) = effect else { return }
        let row = mask.assumingMemoryBound(to: UInt8.self) + offsets[head] + query * stride
        Self.replace(row, replaced, 0, gradients, count)
    }

    private static func replace(
        _ mask: UnsafePointer<UInt8>, _ replaced: Bool, _ value: Float, _ row: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        for key in 0..<count where (mask[key] != 0) == replaced { row[key] = value }
    }
}
