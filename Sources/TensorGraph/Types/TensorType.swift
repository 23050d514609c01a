/// Element type and concrete shape of a value. Tensors are row-major and contiguous.
public struct TensorType: Hashable, Sendable {
    public var elementType: ElementType
    public var shape: [Int]

    public init(_ elementType: ElementType, _ shape: [Int]) {
        precondition(shape.allSatisfy { $0 >= 0 }, "a dimension is negative")
        self.elementType = elementType
        self.shape = shape
    }

    public var rank: Int { shape.count }

    /// Number of elements.
    public var count: Int { shape.elementCount }

    public var byteCount: Int { count * elementType.size }

    public func with(shape: [Int]) -> TensorType { TensorType(elementType, shape) }
}

extension TensorType: CustomStringConvertible {
    public var description: String { "\(elementType)[\(shape.map(String.init).joined(separator: ","))]" }
}

extension Collection where Element == Int {
    /// Product of the dimensions; 1 for a scalar's empty shape.
    public var elementCount: Int { reduce(1, *) }
}

extension [Int] {
    /// Row-major strides in elements.
    public var rowMajorStrides: [Int] {
        var strides = [Int](repeating: 1, count: count)
        for axis in indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * self[axis + 1] }
        return strides
    }

    /// This shape with ones prepended up to `rank` axes, as broadcasting aligns shapes.
    public func leftPadded(toRank rank: Int) -> [Int] {
        precondition(count <= rank)
        return Array(repeating: 1, count: rank - count) + self
    }
}

/// The shape to which `shapes` broadcast together (ONNX spec, "Multidirectional Broadcasting"), or nil.
public func broadcastedShape(_ shapes: [[Int]]) -> [Int]? {
    let rank = shapes.map(\.count).max() ?? 0
    var result = [Int](repeating: 1, count: rank)
    for shape in shapes {
        for (axis, dimension) in shape.leftPadded(toRank: rank).enumerated() where dimension != 1 {
            if result[axis] == 1 {
                result[axis] = dimension
            } else if result[axis] != dimension {
                return nil
            }
        }
    }
    return result
}
