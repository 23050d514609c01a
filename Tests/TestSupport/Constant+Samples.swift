public import TensorGraph

extension Constant {
    /// The elements in double precision, whatever their type.
    public var doubles: [Double] {
        type.elementType == .float64
            ? Array(UnsafeRawBufferPointer(rebasing: bytes[..<type.byteCount]).bindMemory(to: Double.self))
            : floatValues.map(Double.init)
    }

    /// What belongs to sample `sample` of a tensor whose samples lie at `factor`: the tensor of a batch of one.
    public func sample(_ sample: Int, of factor: BatchFactor) -> Constant {
        let batch = factor.batchSize(in: type.shape)
        let trailing = factor.trailing(in: type.shape)
        var shape = type.shape
        shape[factor.axis] = factor.outer * factor.inner
        let places = (0..<type.count).filter { $0 / trailing % batch == sample }
        return picking(places, shape: shape)
    }

    /// The same tensor with `value` in place of every element of one sample.
    public func replacing(_ sample: Int, of factor: BatchFactor, with value: Float) -> Constant {
        let batch = factor.batchSize(in: type.shape)
        let trailing = factor.trailing(in: type.shape)
        let places = (0..<type.count).filter { $0 / trailing % batch == sample }
        if type.elementType == .int64 {
            var values = int64Values
            for place in places { values[place] = Int64(value) }
            return Constant(values, shape: type.shape)
        }
        var values = floatValues
        for place in places { values[place] = value }
        return Constant(values, shape: type.shape)
    }

    private func picking(_ places: [Int], shape: [Int]) -> Constant {
        if type.elementType == .int64 {
            let all = int64Values
            return Constant(places.map { all[$0] }, shape: shape)
        }
        let all = floatValues
        if type.elementType == .bool { return Constant(places.map { all[$0] != 0 }, shape: shape) }
        return Constant(places.map { all[$0] }, shape: shape)
    }
}
