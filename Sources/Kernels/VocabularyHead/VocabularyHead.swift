/// A linear layer over a vocabulary followed by softmax-cross-entropy, computed some classes at a time.
///
/// Logits [rows, classes] are never in memory as a whole, only blocks of them; what is kept of the forward pass is the
/// logarithm of each row's sum of exponentials. Every function that needs the logits' gradient computes its blocks anew,
/// with the same products in the same order, so that all of them see the same numbers.
public struct VocabularyHead: Hashable, Sendable {
    /// Positions of all samples.
    public let rows: Int
    /// Consecutive rows that belong to one sample.
    public let rowsPerSample: Int
    /// Features of a row.
    public let width: Int
    public let classes: Int
    /// Whether weights are stored [classes, width] rather than [width, classes].
    public let isClassMajor: Bool
    private let block: Block

    /// The target that asks for no loss.
    public static let ignoredTarget: Int64 = -100

    /// How much is computed at once.
    public struct Block: Hashable, Sendable {
        /// Rows of samples that are taken together; a single sample may have more.
        public var rows: Int
        public var classes: Int

        /// Small enough for a core's outer cache, large enough for products at full speed.
        public init(rows: Int = 1024, classes: Int = 1024) {
            self.rows = rows
            self.classes = classes
        }
    }

    public init(
        rows: Int, rowsPerSample: Int, width: Int, classes: Int, isClassMajor: Bool, block: Block = Block()
    ) {
        precondition(rowsPerSample > 0 && rows % rowsPerSample == 0, "the rows of the last sample are not complete")
        self.rows = rows
        self.rowsPerSample = rowsPerSample
        self.width = width
        self.classes = classes
        self.isClassMajor = isClassMajor
        self.block = block
    }

    /// What every function reads: x [rows, width], weights, a bias [classes] or nil, and a target for each row.
    public struct Operands {
        let x: UnsafePointer<Float>
        let weights: UnsafePointer<Float>
        let bias: UnsafePointer<Float>?
        let targets: UnsafePointer<Int64>

        public init(
            x: UnsafePointer<Float>, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
            targets: UnsafePointer<Int64>
        ) {
            self.x = x
            self.weights = weights
            self.bias = bias
            self.targets = targets
        }
    }

    var samples: Int { rows / rowsPerSample }
    /// Samples whose rows make up one block.
    var blockSamples: Int { max(1, min(samples, block.rows / rowsPerSample)) }
    private var rowLimit: Int { blockSamples * rowsPerSample }
    var classLimit: Int { min(classes, block.classes) }
    /// Elements of one block.
    var blockCount: Int { rowLimit * classLimit }

    func forClassBlocks(_ body: (Range<Int>) -> Void) {
        for first in stride(from: 0, to: classes, by: classLimit) { body(first..<min(classes, first + classLimit)) }
    }

    func forSampleBlocks(_ samples: Range<Int>, _ body: (Range<Int>) -> Void) {
        for first in stride(from: samples.lowerBound, to: samples.upperBound, by: blockSamples) {
            body(first..<min(samples.upperBound, first + blockSamples))
        }
    }

    /// The rows of some samples.
    func rows(of samples: Range<Int>) -> Range<Int> {
        samples.lowerBound * rowsPerSample..<samples.upperBound * rowsPerSample
    }

    /// Whether a row asks for a loss that counts.
    func hasGradient(_ row: Int, _ operands: Operands, _ rowWeights: UnsafePointer<Float>) -> Bool {
        rowWeights[row] != 0 && operands.targets[row] != Self.ignoredTarget
    }

    /// Where the weights of a class begin, and how far apart the rows of the weights' matrix are.
    func weights(_ operands: Operands, of block: Range<Int>) -> (pointer: UnsafePointer<Float>, stride: Int) {
        isClassMajor
            ? (operands.weights + block.lowerBound * width, width) : (operands.weights + block.lowerBound, classes)
    }

    /// logits:[rows.count, block.count] = x weights + bias.
    func logits(
        _ operands: Operands, rows: Range<Int>, block: Range<Int>, into logits: UnsafeMutablePointer<Float>,
        pool: ThreadPool
    ) {
        let own = weights(operands, of: block)
        gemm(
            transposeB: isClassMajor, m: rows.count, n: block.count, k: width,
            a: operands.x + rows.lowerBound * width, lda: width, b: own.pointer, ldb: own.stride, c: logits,
            ldc: block.count, pool: pool)
        guard let bias = operands.bias else { return }
        pool.forRanges(rows.count, grain: Rows.rowGrain(block.count)) { range, _ in
            for row in range { addRow(logits + row * block.count, bias + block.lowerBound, block.count) }
        }
    }

    /// gradient:[rows.count, block.count] = (softmax - onehot(target)) * row weight, exactly zero where the target is
    /// ignored or the weight is zero, NaN where the target is no class.
    /// - Parameters:
    ///   - logSums: of all rows, as `losses` returns them.
    ///   - rowWeights: of all rows.
    func logitGradients(
        _ operands: Operands, logSums: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>, rows: Range<Int>,
        block: Range<Int>, into gradient: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        logits(operands, rows: rows, block: block, into: gradient, pool: pool)
        let count = block.count
        func forRows(_ body: (_ row: Int, _ own: UnsafeMutablePointer<Float>) -> Void) {
            pool.forRanges(rows.count, grain: Rows.rowGrain(count)) { range, _ in
                for index in range { body(rows.lowerBound + index, gradient + index * count) }
            }
        }
        forRows { row, own in
            let shift = logSums[row]
            for column in 0..<count { own[column] -= shift }
        }
        Elementwise.apply(.exp, gradient, into: gradient, count: rows.count * count, pool: pool)
        forRows { row, own in
            let target = operands.targets[row]
            let weight = rowWeights[row]
            if !hasGradient(row, operands, rowWeights) {
                own.update(repeating: 0, count: count)
            } else if !(0..<Int64(classes)).contains(target) {
                own.update(repeating: .nan, count: count)
            } else {
                if block.contains(Int(target)) { own[Int(target) - block.lowerBound] -= 1 }
                copyScaled(own, weight, own, count)
            }
        }
    }
}
