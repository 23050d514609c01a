import Glibc

/// What training goes on from: weights, optimiser and moving average after some step. All of it is noisy already, so a
/// checkpoint reveals no more than the model that comes out. Batches, generators and noise are not in it.
struct TrainingState {
    var stepCount: Int
    var optimizerSteps: Int
    var averageUpdates: Int
    /// C of the next step.
    var clippingNorm: Double
    /// The optimiser's mean of the noise's variance.
    var noiseVariance: Double
    /// By parameter: weights, then the optimiser's buffers, then the average if there is one.
    var values: [(name: String, buffers: [[Float]])]

    private static let counters = "dponnx.counters"
    private static let numbers = "dponnx.numbers"

    /// - Throws: `DataError` if the file cannot be written; an older one then stays.
    func write(to path: String) throws(DataError) {
        var declarations = [
            ArrayFileWriter.Declaration(name: Self.counters, type: .int64, shape: [3]),
            ArrayFileWriter.Declaration(name: Self.numbers, type: .float64, shape: [2]),
        ]
        for (name, buffers) in values {
            for (index, buffer) in buffers.enumerated() {
                declarations.append(.init(name: "\(index)/\(name)", type: .float32, shape: [buffer.count]))
            }
        }
        var writer = try ArrayFileWriter(path: path, arrays: declarations, permissions: 0o600)
        try writer.append([stepCount, optimizerSteps, averageUpdates].map(Int64.init))
        try writer.append([clippingNorm, noiseVariance])
        for (_, buffers) in values { for buffer in buffers { try writer.append(buffer) } }
        try writer.finish()
    }

    /// - Throws: `DataError` if the file is damaged or of a run with other parameters.
    init(path: String, like expected: TrainingState) throws(DataError) {
        let file = try ArrayFile(path: path)
        let counters: [Int64] = try Self.elements(file, Self.counters, count: 3)
        guard counters.allSatisfy({ $0 >= 0 && $0 < 1 << 40 }) else {
            throw DataError(.malformed, "has impossible counters", at: .init(file: path))
        }
        (stepCount, optimizerSteps, averageUpdates) = (Int(counters[0]), Int(counters[1]), Int(counters[2]))
        let numbers: [Double] = try Self.elements(file, Self.numbers, count: 2)
        (clippingNorm, noiseVariance) = (numbers[0], numbers[1])
        guard clippingNorm > 0, noiseVariance >= 0 else {
            throw DataError(.malformed, "has impossible numbers", at: .init(file: path))
        }
        values = []
        for (name, buffers) in expected.values {
            var read: [[Float]] = []
            for (index, buffer) in buffers.enumerated() {
                read.append(try Self.elements(file, "\(index)/\(name)", count: buffer.count))
            }
            values.append((name, read))
        }
    }

    /// The step after which the state in a file was written.
    /// - Throws: `DataError` if the file is damaged.
    static func stepCount(path: String) throws(DataError) -> Int {
        let counters: [Int64] = try elements(try ArrayFile(path: path), counters, count: 3)
        guard counters[0] >= 0, counters[0] < 1 << 40 else {
            throw DataError(.malformed, "has impossible counters", at: .init(file: path))
        }
        return Int(counters[0])
    }

    init(
        stepCount: Int, optimizerSteps: Int, averageUpdates: Int, clippingNorm: Double, noiseVariance: Double,
        values: [(name: String, buffers: [[Float]])]
    ) {
        self.stepCount = stepCount
        self.optimizerSteps = optimizerSteps
        self.averageUpdates = averageUpdates
        self.clippingNorm = clippingNorm
        self.noiseVariance = noiseVariance
        self.values = values
    }

    private static func elements<Element: StorableElement>(_ file: ArrayFile, _ key: String, count: Int)
        throws(DataError) -> [Element]
    {
        let array = try file.array(key)
        guard array.type == Element.storedType, array.shape == [count] else {
            throw DataError(.mismatch, "does not fit this run", at: .init(file: file.path, array: key))
        }
        return array.withUnsafeBytes { bytes in
            [Element](unsafeUninitializedCapacity: count) { memory, filled in
                UnsafeMutableRawBufferPointer(memory).copyMemory(from: bytes)
                filled = count
            }
        }
    }
}
