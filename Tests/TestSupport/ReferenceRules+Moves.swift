import Kernels
import Operators
import TensorGraph

/// Where each padded element comes from; nil is the pad value.
func padding(_ operation: Padding, _ shape: [Int], _ output: [Int]) -> ReferenceRule {
    let strides = shape.rowMajorStrides
    let sources: [Int?] = places(of: output).map { place in
        var source = 0
        for axis in shape.indices {
            guard let entry = padSource(place[axis] - operation.before[axis], shape[axis], operation.mode) else {
                return nil
            }
            source += entry * strides[axis]
        }
        return source
    }
    return { values in [sources.map { source in source.map { values[0][$0] } ?? values[1][0] }] }
}

private func padSource(_ position: Int, _ size: Int, _ mode: PadMode?) -> Int? {
    if 0..<size ~= position { return position }
    switch mode {
    case nil: return nil
    case .edge?: return position < 0 ? 0 : size - 1
    case .wrap?: return (position % size + size) % size
    case .reflect?:
        if size == 1 { return 0 }
        let period = 2 * (size - 1)
        let phase = (position % period + period) % period
        return phase < size ? phase : period - phase
    }
}

func oneHotEncoding(_ operation: OneHotEncoding, _ output: [Int]) -> ReferenceRule {
    let all = places(of: output)
    var indices = output
    indices.remove(at: operation.axis)
    let strides = indices.rowMajorStrides
    return { values in
        [
            all.map { place in
                var rest = place
                let entry = rest.remove(at: operation.axis)
                let index = Int(values[0][zip(rest, strides).reduce(0) { $0 + $1.0 * $1.1 }])
                return values[1][(index < 0 ? index + operation.depth : index) == entry ? 1 : 0]
            }
        ]
    }
}

func argumentSearch(_ operation: ArgumentSearch, _ shape: [Int]) -> ReferenceRule {
    let (size, inner) = (shape[operation.axis], shape[(operation.axis + 1)...].elementCount)
    return { values in
        let lines = shape[..<operation.axis].elementCount * inner
        return [
            (0..<lines).map { line in
                let entries = (0..<size).map { values[0][line / inner * size * inner + line % inner + $0 * inner] }
                let extreme = operation.extreme == .max ? entries.max()! : entries.min()!
                let place = operation.selectsLast ? entries.lastIndex(of: extreme) : entries.firstIndex(of: extreme)
                return Double(place!)
            }
        ]
    }
}

func cumulativeSum(_ operation: CumulativeSum, _ shape: [Int]) -> ReferenceRule {
    let axis = operation.axis
    let stride = shape.rowMajorStrides[axis]
    let all = places(of: shape)
    return { values in
        [
            all.enumerated().map { element, place in
                (0..<shape[axis]).filter { other in
                    if other == place[axis] { return !operation.excludesSelf }
                    return operation.isReversed ? other > place[axis] : other < place[axis]
                }.reduce(0) { $0 + values[0][element + ($1 - place[axis]) * stride] }
            }
        ]
    }
}

/// The element of `data` that position number k of an index tensor means.
typealias IndexedPlace = (_ position: Int, _ indices: [Double]) -> Int

func elementPlaces(_ data: [Int], _ indices: [Int], _ axis: Int) -> IndexedPlace {
    let all = places(of: indices)
    let strides = data.rowMajorStrides
    return { position, values in
        var place = all[position]
        place[axis] = wrapped(values[position], data[axis])
        return zip(place, strides).reduce(0) { $0 + $1.0 * $1.1 }
    }
}

/// As `elementPlaces`, position k being an element of the gathered tensor of shape `gathered`.
func tuplePlaces(_ data: [Int], _ indices: [Int], _ gathered: [Int], _ sharedAxes: Int) -> IndexedPlace {
    let all = places(of: gathered)
    let width = indices.last!
    let tupleAxes = indices.count - 1
    let tupleStrides = Array(indices.dropLast()).rowMajorStrides
    let strides = data.rowMajorStrides
    return { position, values in
        let place = all[position]
        let tuple = zip(place, tupleStrides).reduce(0) { $0 + $1.0 * $1.1 }
        let coordinates = (0..<width).map { wrapped(values[tuple * width + $0], data[sharedAxes + $0]) }
        let full = place[..<sharedAxes] + coordinates + place[tupleAxes...]
        return zip(full, strides).reduce(0) { $0 + $1.0 * $1.1 }
    }
}

private func wrapped(_ index: Double, _ size: Int) -> Int { Int(index) < 0 ? Int(index) + size : Int(index) }

func scattering(_ reduction: ScatterReduction, _ place: @escaping IndexedPlace) -> ReferenceRule {
    { values in
        var result = values[0]
        for (position, update) in values[2].enumerated() {
            let target = place(position, values[1])
            switch reduction {
            case .none: result[target] = update
            case .add: result[target] += update
            case .mul: result[target] *= update
            case .max: result[target] = max(result[target], update)
            case .min: result[target] = min(result[target], update)
            }
        }
        return [result]
    }
}

/// The chosen entries and their indices, by sorting each line.
func topSelection(_ operation: TopSelection, _ shape: [Int]) -> ReferenceRule {
    let stride = shape.rowMajorStrides[operation.axis]
    var chosen = shape
    chosen[operation.axis] = operation.count
    let targets = places(of: chosen)
    return { values in
        var (entries, positions) = ([Double](), [Double]())
        for place in targets {
            var first = place
            first[operation.axis] = 0
            let start = zip(first, shape.rowMajorStrides).reduce(0) { $0 + $1.0 * $1.1 }
            let line = (0..<shape[operation.axis]).map { values[0][start + $0 * stride] }
            let order = line.indices.sorted { a, b in
                line[a] == line[b] ? a < b : (line[a] > line[b]) == operation.takesLargest
            }
            entries.append(line[order[place[operation.axis]]])
            positions.append(Double(order[place[operation.axis]]))
        }
        return [entries, positions]
    }
}
