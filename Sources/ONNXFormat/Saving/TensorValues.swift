/// Row-major floats for a tensor: held, or made each time they are written, so that not all of a large model's are in
/// memory at once.
public struct TensorValues: Sendable {
    /// Number of elements.
    public let count: Int
    private let make: @Sendable () throws(ONNXFormatError) -> [Float]

    public init(_ values: [Float]) {
        count = values.count
        make = { () throws(ONNXFormatError) in values }
    }

    /// - Parameter make: makes `count` values.
    public init(count: Int, make: @escaping @Sendable () throws(ONNXFormatError) -> [Float]) {
        self.count = count
        self.make = make
    }

    public func load() throws(ONNXFormatError) -> [Float] {
        let values = try make()
        precondition(values.count == count, "\(values.count) values in place of \(count)")
        return values
    }
}
