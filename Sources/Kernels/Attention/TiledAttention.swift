import CVectorKernels

/// softmax(scale Q K^T, masked) V head by head, some queries at a time, so that the scores of all heads never lie in
/// memory: forward they are dropped once used, and the gradient computes them anew (Rabe and Staats 2021, Dao et al.
/// 2022). A block holds all keys that its queries may see, which keeps the softmax the ordinary one.
///
/// Heads of all samples are counted together. Sizes of a head: Q [queries, width], K [keys, width],
/// V [keys, valueWidth], output [queries, valueWidth].
public struct TiledAttention: Hashable, Sendable {
    public var queries: Int
    public var keys: Int
    public var width: Int
    public var valueWidth: Int
    public var scale: Float
    public var query: HeadMatrices
    public var key: HeadMatrices
    public var value: HeadMatrices
    public var output: HeadMatrices
    public var masks: [AttentionMask]
    /// For each query how many of the first keys it may see; those behind are not looked at. Nil if all.
    public var visibleKeys: [Int]?
    /// Whether a query whose probabilities are not numbers (because no key is to be seen) has output zero.
    public var clearsUndefinedQueries: Bool

    public init(
        queries: Int, keys: Int, width: Int, valueWidth: Int, scale: Float, query: HeadMatrices, key: HeadMatrices,
        value: HeadMatrices, output: HeadMatrices, masks: [AttentionMask], visibleKeys: [Int]?,
        clearsUndefinedQueries: Bool
    ) {
        self.queries = queries
        self.keys = keys
        self.width = width
        self.valueWidth = valueWidth
        self.scale = scale
        self.query = query
        self.key = key
        self.value = value
        self.output = output
        self.masks = masks
        self.visibleKeys = visibleKeys
        self.clearsUndefinedQueries = clearsUndefinedQueries
    }

    private var heads: Int { query.offsets.count }

    /// Queries of one block. Few where keys can be skipped; else as many as keep a block's scores inside a cache.
    private var blockSize: Int {
        let largest = visibleKeys == nil ? max(64, min(256, (1 << 16) / keys)) : 64
        let blocks = (queries + largest - 1) / largest
        return (queries + blocks - 1) / blocks
    }

    private var blocks: [Range<Int>] {
        stride(from: 0, to: queries, by: blockSize).map { $0..<min($0 + blockSize, queries) }
    }

    /// How many of the first keys some of these queries may see.
    private func keyCount(_ rows: Range<Int>) -> Int { visibleKeys.map { $0[rows].max()! } ?? keys }

    /// Scores that are computed, over all heads.
    private var scoreCount: Double { Double(heads * blocks.reduce(0) { $0 + $1.count * keyCount($1) }) }

    public var forwardOperationCount: Double { 2 * scoreCount * Double(width + valueWidth) }
    public var gradientOperationCount: Double { 2 * scoreCount * Double(3 * width + 2 * valueWidth) }

    /// Elements of the scores of one block, in whole cache lines.
    private var blockElements: Int { (blockSize * keys + 15) / 16 * 16 }

    public func forwardScratchCount(workers: Int) -> Int { workers * blockElements }
    public func gradientScratchCount(workers: Int) -> Int { workers * 2 * blockElements }

    /// - Parameters:
    ///   - masks: memory of each mask.
    ///   - scratch: `forwardScratchCount` elements.
    public func forward(
        query q: UnsafePointer<Float>, key k: UnsafePointer<Float>, value v: UnsafePointer<Float>,
        masks: [UnsafeRawPointer], into out: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>,
        pool: ThreadPool
    ) {
        let blocks = blocks
        pool.forEach(heads * blocks.count) { index, worker in
            let (head, rows) = (index / blocks.count, blocks[index % blocks.count])
            let probabilities = scratch + worker * blockElements
            let count = self.probabilities(head, rows, q, k, masks, into: probabilities)
            serialGemm(
                transposeA: false, transposeB: false, m: rows.count, n: valueWidth, k: count, alpha: 1,
                a: probabilities, lda: count, b: v + value.offsets[head], ldb: value.stride, beta: 0,
                c: out + output.start(head, row: rows.lowerBound), ldc: output.stride)
        }
    }

    /// Gradients of queries, keys and values, which are laid out as these are, from that of the output.
    /// - Parameter scratch: `gradientScratchCount` elements.
    public func gradient(
        query q: UnsafePointer<Float>, key k: UnsafePointer<Float>, value v: UnsafePointer<Float>,
        masks: [UnsafeRawPointer], outputGradient g: UnsafePointer<Float>, intoQuery dq: UnsafeMutablePointer<Float>,
        key dk: UnsafeMutablePointer<Float>, value dv: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let blocks = blocks
        pool.forEach(heads) { head, worker in
            let probabilities = scratch + worker * 2 * blockElements
            let gradients = probabilities + blockElements
            var written = 0
            // The last queries see most keys where attention is causal, and write their gradients first.
            for rows in blocks.reversed() {
                let count = self.probabilities(head, rows, q, k, masks, into: probabilities)
                let ownG = g + output.start(head, row: rows.lowerBound)
                serialGemm(
                    transposeA: false, transposeB: true, m: rows.count, n: count, k: valueWidth, alpha: 1, a: ownG,
                    lda: output.stride, b: v + value.offsets[head], ldb: value.stride, beta: 0, c: gradients, ldc: count
                )
                vector.pointee.softmax_gradient(
                    probabilities, gradients, gradients, Int64(rows.count), Int64(count), 0)
                for (mask, memory) in zip(self.masks, masks) {
                    for (index, row) in rows.enumerated() {
                        mask.clear(memory, head, query: row, in: gradients + index * count, count)
                    }
                }
                serialGemm(
                    transposeA: false, transposeB: false, m: rows.count, n: width, k: count, alpha: scale, a: gradients,
                    lda: count, b: k + key.offsets[head], ldb: key.stride, beta: 0,
                    c: dq + query.start(head, row: rows.lowerBound), ldc: query.stride)
                let beta: Float = written == 0 ? 0 : 1
                if written > 0 { clear(head, written..<max(written, count), dk, dv) }
                written = max(written, count)
                serialGemm(
                    transposeA: true, transposeB: false, m: count, n: width, k: rows.count, alpha: scale, a: gradients,
                    lda: count, b: q + query.start(head, row: rows.lowerBound), ldb: query.stride, beta: beta,
                    c: dk + key.offsets[head], ldc: key.stride)
                serialGemm(
                    transposeA: true, transposeB: false, m: count, n: valueWidth, k: rows.count, alpha: 1,
                    a: probabilities, lda: count, b: ownG, ldb: output.stride, beta: beta,
                    c: dv + value.offsets[head], ldc: value.stride)
            }
            clear(head, written..<keys, dk, dv)
        }
    }

    private func clear(
        _ head: Int, _ rows: Range<Int>, _ dk: UnsafeMutablePointer<Float>, _ dv: UnsafeMutablePointer<Float>
    ) {
        for row in rows {
            (dk + key.start(head, row: row)).update(repeating: 0, count: width)
            (dv + value.start(head, row: row)).update(repeating: 0, count: valueWidth)
        }
    }

    /// One block's probabilities [rows, keys that some of them see].
    /// - Returns: the number of those keys.
    private func probabilities(
        _ head: Int, _ rows: Range<Int>, _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>,
        _ masks: [UnsafeRawPointer], into scores: UnsafeMutablePointer<Float>
    ) -> Int {
        let count = keyCount(rows)
        serialGemm(
            transposeA: false, transposeB: true, m: rows.count, n: count, k: width, alpha: scale,
            a: q + query.start(head, row: rows.lowerBound), lda: query.stride, b: k + key.offsets[head],
            ldb: key.stride, beta: 0, c: scores, ldc: count)
        for (mask, memory) in zip(self.masks, masks) {
            for (index, row) in rows.enumerated() {
                mask.apply(memory, head, query: row, to: scores + index * count, count)
            }
        }
        vector.pointee.softmax(scores, scores, Int64(rows.count), Int64(count), 0)
        if clearsUndefinedQueries {
            // A softmax is defined for all keys or for none.
            for index in 0..<rows.count where scores[index * count].isNaN {
                (scores + index * count).update(repeating: 0, count: count)
            }
        }
        return count
    }
}
