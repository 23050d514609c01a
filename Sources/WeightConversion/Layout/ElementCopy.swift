/// Elements that a tensor of a graph and one of a state_dict share: the two views visit them in the same order.
struct ElementCopy: Hashable, Sendable {
    var graph: StridedView
    var state: StridedView
}
